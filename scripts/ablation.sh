#!/usr/bin/env bash
# What helps, over several seeds: DualDistill and its ablations, few labels, or BEVFormer's memory. Run it again to resume.
#   bash scripts/ablation.sh [flags]
# Flags, passed to tools/ablation.py, which says more with --help once the set-up is done:
#   --study <method, unlabelled, unlabelled_bevformer or history>
#   --labels <10,20,100 per cent of the scenes, with the studies of few labels>
#   --configs <names or files>...
#   --seeds <0,1,2>
#   --jobs <trainings at a time>
#   --data-root <folder of the generated data>
#   --out-dir <folder of the results>
#   --full-size
#   --report-only
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/usage.sh
begin scripts/ablation.sh 0 "$@"
set -- "${words[@]+"${words[@]}"}"
check_words scripts/ablation.sh scripts/ablation.sh "$@"

bash scripts/setup.sh
exec .venv/bin/python -W ignore tools/ablation.py "$@"
