#!/usr/bin/env bash
# Distil CenterPoint into BEVDepth4D (ResNet-50, 256x704), then evaluate the student. Run it again to resume.
#   GPUS=8 TEACHER_CKPT=checkpoints/centerpoint.pth ./scripts/teacher_to_bevdepth4d/centerpoint2bevdepth.sh
# GPUS          processes, one per GPU (default: the GPUs found, at least 1)
# TEACHER_CKPT  the teacher's checkpoint (default: the config's)
# WORK_DIR      logs and checkpoints (default: outputs/centerpoint_to_bevdepth4d_r50_256x704)
# CONFIG        another distillation config of the same kind, such as the R101 one
# Arguments are passed to tools/train.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

CONFIG=${CONFIG:-configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py}
WORK_DIR=${WORK_DIR:-outputs/$(basename "$CONFIG" .py)}
if [ -z "${GPUS:-}" ]; then
  GPUS=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)
  if [ "${GPUS:-0}" -lt 1 ]; then GPUS=1; fi
fi
if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -f .venv/bin/activate ]; then source .venv/bin/activate; fi

flags=("$@")
if [ -n "${TEACHER_CKPT:-}" ]; then
  if [ ! -f "$TEACHER_CKPT" ]; then
    echo "TEACHER_CKPT=$TEACHER_CKPT does not exist: give the teacher's checkpoint (train it with configs/centerpoint)" >&2
    exit 1
  fi
  flags+=(--cfg-options)
  # one list of overrides: the command line keeps only the last --cfg-options
  for i in "${!flags[@]}"; do
    if [ "${flags[i]}" = --cfg-options ]; then
      flags=("${flags[@]:0:i+1}" "model.teacher.checkpoint=$TEACHER_CKPT" "${flags[@]:i+1}")
      break
    fi
  done
  if [ "${flags[-1]}" = --cfg-options ]; then unset 'flags[-1]'; fi
fi

show_and_run() {
  printf '+ %s\n' "$*"
  "$@"
}

show_and_run bash tools/dist_train.sh "$CONFIG" "$GPUS" --work-dir "$WORK_DIR" --auto-resume "${flags[@]+"${flags[@]}"}"
show_and_run bash tools/dist_test.sh "$CONFIG" "$WORK_DIR/latest.pth" "$GPUS" --work-dir "$WORK_DIR/eval" --eval bbox
