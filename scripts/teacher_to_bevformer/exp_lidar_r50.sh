#!/usr/bin/env bash
# lidarformer2bevformer.sh under the name it has in the method's release: distil LidarFormer into BEVFormer R50, then evaluate.
#   GPUS=8 TEACHER_CKPT=checkpoints/lidarformer.pth ./scripts/teacher_to_bevformer/exp_lidar_r50.sh
# GPUS, DATA_ROOT, TEACHER_CKPT, WORK_DIR (outputs/lidarformer_to_bevformer_r50) and arguments: see scripts/launch.sh.
set -euo pipefail
WORK_DIR=${WORK_DIR:-outputs/lidarformer_to_bevformer_r50} exec bash "$(dirname "${BASH_SOURCE[0]}")/../launch.sh" \
  configs/lidar2camera_bev_distillation/teacher_to_bevformer/lidarformer_to_bevformer_nus_1x1conv_r50.py "$@"
