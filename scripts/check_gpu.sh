#!/usr/bin/env bash
# Prove a GPU after installing: kernels, training steps, resume, two processes, times, and one verdict. Takes minutes.
#   bash scripts/check_gpu.sh [flags]
# PYTHON names the interpreter of an environment that is ready, and nothing is set up. Without it an active environment that
# has mmdet3d is taken as it is, and else that of scripts/setup.sh, which runs first.
# Flags, passed to tools/check_gpu.py, which says more with --help:
#   --device <cuda or cpu>
#   --out-dir <folder of logs and results>
#   --only <steps>...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/usage.sh
begin scripts/check_gpu.sh 0 "$@"
set -- "${words[@]+"${words[@]}"}"
check_words scripts/check_gpu.sh scripts/check_gpu.sh "$@"

has_mmdet3d() { python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("mmdet3d") is None)' 2>/dev/null; }
if [ -z "${PYTHON:-}" ]; then
  if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && has_mmdet3d; then
    PYTHON=python
  else
    bash scripts/setup.sh
    PYTHON=.venv/bin/python
  fi
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" # nothing of ours need be installed there
exec "$PYTHON" -W ignore tools/check_gpu.py "$@"
