#!/usr/bin/env bash
# Set up each supported pair of Python and torch in a scratch folder, run the core tests there, and print a table.
# Takes minutes a pair (mmcv-full is compiled for each torch) and several GB. Run it again to resume; --help lists the flags.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/usage.sh

# Any Python will do for the tool itself. PYTHONS is split on purpose.
# shellcheck disable=SC2086
for python in ${PYTHONS:-} python3.11 python3.12 python3.10 python3.9 python3 .venv/bin/python; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
    exec "$python" tools/test_matrix.py "$@"
  fi
done
refuse scripts/test_matrix.sh 'no Python 3.9 or newer found: put one on the PATH or name it in PYTHONS'
