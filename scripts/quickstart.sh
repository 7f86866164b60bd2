#!/usr/bin/env bash
# Set-up, synthetic data, teacher, student, distilled student, evaluation and report. Run it again to resume.
#   bash scripts/quickstart.sh [flags]
# Flags, passed to tools/quickstart.py, which says more with --help once the set-up is done:
#   --family <bevdepth4d or bevformer>
#   --teacher <centerpoint or mvp>
#   --labels <few or all>
#   --seeds <0,1,2>
#   --jobs <trainings at a time>
#   --data-root <folder of the generated data>
#   --out-dir <folder of the results>
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/usage.sh
begin scripts/quickstart.sh 0 "$@"
set -- "${words[@]+"${words[@]}"}"
check_words scripts/quickstart.sh scripts/quickstart.sh "$@"

bash scripts/setup.sh
exec .venv/bin/python -W ignore tools/quickstart.py "$@"
