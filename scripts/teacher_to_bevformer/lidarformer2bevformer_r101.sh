#!/usr/bin/env bash
# Distil LidarFormer into BEVFormer (ResNet-101, 928x1600), then evaluate the student. Run it again to resume.
#   GPUS=8 TEACHER_CKPT=checkpoints/lidarformer.pth ./scripts/teacher_to_bevformer/lidarformer2bevformer_r101.sh
# GPUS, DATA_ROOT, TEACHER_CKPT, WORK_DIR (outputs/lidarformer_to_bevformer_r101) and arguments: see scripts/launch.sh.
set -euo pipefail
WORK_DIR=${WORK_DIR:-outputs/lidarformer_to_bevformer_r101} exec bash "$(dirname "${BASH_SOURCE[0]}")/../launch.sh" \
  configs/lidar2camera_bev_distillation/teacher_to_bevformer/lidarformer_to_bevformer_nus_1x1conv_r101.py "$@"
