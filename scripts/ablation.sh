#!/usr/bin/env bash
# Baseline, DistillBEV, DualDistill and its ablations over several seeds: table and plot. Run it again to resume.
# Arguments are passed to tools/ablation.py (see --help).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh
exec .venv/bin/python -W ignore tools/ablation.py "$@"
