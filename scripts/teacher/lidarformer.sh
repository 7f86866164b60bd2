#!/usr/bin/env bash
# Train the LidarFormer teacher (0.064 m voxels, deformable BEV encoder), then evaluate it. Run it again to resume.
#   GPUS=8 ./scripts/teacher/lidarformer.sh
# GPUS, DATA_ROOT, WORK_DIR and arguments: see scripts/launch.sh.
set -euo pipefail
exec env -u TEACHER_CKPT bash "$(dirname "${BASH_SOURCE[0]}")/../launch.sh" \
  configs/lidarformer/lidarformer_voxel0064_cbgs_20e_nus.py "$@"
