#!/usr/bin/env bash
# Train a config, then evaluate its last checkpoint. Run it again to resume. The scripts in the folders beside name the config.
#   GPUS=8 DATA_ROOT=/data/nuscenes bash scripts/launch.sh <config> [flags of tools/train.py]
# GPUS          processes, one per GPU (default: the GPUs found, at least 1)
# DATA_ROOT     nuScenes data root with its info files (default: the config's)
# TEACHER_CKPT  the teacher's checkpoint of a distillation config (default: the config's)
# WORK_DIR      logs and checkpoints (default: outputs/<config name>)
# --cfg-options reach training and evaluation, other flags the training only. bash tools/dist_train.sh --help lists the flags.
# What is finished is skipped until config, flags or checkpoint change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/usage.sh
begin scripts/launch.sh 1 "$@"
set -- "${words[@]+"${words[@]}"}"
check_config scripts/launch.sh "$1"
check_words scripts/launch.sh tools/dist_train.sh "${@:2}"
check_number scripts/launch.sh GPUS "${GPUS:-1}"

# an active environment wins over the one of scripts/setup.sh
PYTHON=${PYTHON:-python}
if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && .venv/bin/python -c '' 2>/dev/null; then PYTHON=$PWD/.venv/bin/python; fi
export PYTHON
exec "$PYTHON" -W ignore tools/launch.py "$@"
