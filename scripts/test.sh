#!/usr/bin/env bash
# Set-up if needed, then the test suite. Arguments go to pytest: bash scripts/test.sh tests/engine -k resume
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh
exec .venv/bin/python -m pytest "$@"
