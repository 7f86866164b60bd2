#!/usr/bin/env bash
# Set-up if needed, then the test suite, two files of tests at a time. Arguments go to pytest, later ones win:
#   bash scripts/test.sh tests/engine -k resume -n 0
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/usage.sh
help_if_asked scripts/test.sh "$@"

bash scripts/setup.sh
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # a core each
# A test that ends its process ends the run: pytest-xdist would start it again for ever.
exec .venv/bin/python -m pytest -n 2 --dist loadfile --max-worker-restart 0 "$@"
