#!/usr/bin/env bash
# Set-up, synthetic data, teacher, student, distilled student, evaluation and report. Run it again to resume.
# Arguments are passed to tools/quickstart.py (see --help).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh
exec .venv/bin/python -W ignore tools/quickstart.py "$@"
