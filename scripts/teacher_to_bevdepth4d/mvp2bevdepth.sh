#!/usr/bin/env bash
# Distil MVP into BEVDepth4D (ResNet-50, 256x704), then evaluate the student. Run it again to resume.
#   GPUS=8 TEACHER_CKPT=checkpoints/mvp.pth ./scripts/teacher_to_bevdepth4d/mvp2bevdepth.sh
# GPUS, DATA_ROOT, TEACHER_CKPT, WORK_DIR and arguments: see scripts/launch.sh.
set -euo pipefail
exec bash "$(dirname "${BASH_SOURCE[0]}")/../launch.sh" \
  configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d/mvp_to_bevdepth4d_r50_256x704.py "$@"
