#!/usr/bin/env bash
# Train a config, then evaluate its last checkpoint. Run it again to resume. The scripts in the folders beside name the config.
#   GPUS=8 DATA_ROOT=/data/nuscenes bash scripts/launch.sh <config> [flags of tools/train.py]
# GPUS          processes, one per GPU (default: the GPUs found, at least 1)
# DATA_ROOT     nuScenes data root with its info files (default: the config's)
# TEACHER_CKPT  the teacher's checkpoint of a distillation config (default: the config's)
# WORK_DIR      logs and checkpoints (default: outputs/<config name>)
# --cfg-options reach training and evaluation, other flags the training only. bash tools/dist_train.sh --help lists the flags.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/usage.sh
plain_dashes "$@"
set -- "${words[@]+"${words[@]}"}"
help_if_asked scripts/launch.sh "$@"
if [ $# -lt 1 ]; then
  print_usage scripts/launch.sh >&2
  exit 2
fi
config=$1
shift
check_config scripts/launch.sh "$config"
check_words scripts/launch.sh tools/dist_train.sh "$@"
work_dir=${WORK_DIR:-outputs/$(basename "$config" .py)}
if [ -z "${GPUS:-}" ]; then
  GPUS=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)
  if [ "${GPUS:-0}" -lt 1 ]; then GPUS=1; fi
fi
check_number scripts/launch.sh GPUS "$GPUS"
# an active environment wins over the one of scripts/setup.sh
PYTHON=${PYTHON:-python}
if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && .venv/bin/python -c '' 2>/dev/null; then PYTHON=$PWD/.venv/bin/python; fi
export PYTHON

# one list of overrides for training and evaluation
options=()
if [ -n "${DATA_ROOT:-}" ]; then
  moved=$("$PYTHON" -W ignore tools/misc/move_data_root.py "$config" "$DATA_ROOT")
  while read -r option; do
    if [ -n "$option" ]; then options+=("$option"); fi
  done <<<"$moved"
fi
if [ -n "${TEACHER_CKPT:-}" ]; then
  if [ ! -f "$TEACHER_CKPT" ]; then
    echo "TEACHER_CKPT=$TEACHER_CKPT does not exist: give the teacher's checkpoint (train it with scripts/teacher)" >&2
    exit 1
  fi
  options+=("model.teacher.checkpoint=$TEACHER_CKPT")
fi
flags=()
last=''
for word in "$@"; do
  case $word in
    --cfg-options=*) options+=("${word#*=}") ;;
    --work-dir=*) work_dir=${word#*=} ;;
    -*) if [ "$word" != --cfg-options ] && [ "$word" != --work-dir ]; then flags+=("$word"); fi ;;
    *)
      case $last in
        --cfg-options) options+=("$word") ;;
        --work-dir) work_dir=$word ;;
        *) flags+=("$word") ;;
      esac
      ;;
  esac
  case $word in --*) last=${word%%=*} ;; esac
done
if [ ${#options[@]} -gt 0 ]; then options=(--cfg-options "${options[@]}"); fi

show_and_run() {
  printf '+ %s\n' "$*"
  "$@"
}

show_and_run bash tools/dist_train.sh "$config" "$GPUS" --work-dir "$work_dir" --auto-resume \
  "${flags[@]+"${flags[@]}"}" "${options[@]+"${options[@]}"}"
show_and_run bash tools/dist_test.sh "$config" "$work_dir/latest.pth" "$GPUS" --work-dir "$work_dir/eval" --eval bbox \
  "${options[@]+"${options[@]}"}"
