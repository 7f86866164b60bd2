#!/usr/bin/env bash
# Train the MVPFormer teacher (LidarFormer on virtual points), then evaluate it. Run it again to resume.
#   GPUS=8 ./scripts/teacher/mvpformer.sh
# GPUS, DATA_ROOT, WORK_DIR and arguments: see scripts/launch.sh.
set -euo pipefail
exec env -u TEACHER_CKPT bash "$(dirname "${BASH_SOURCE[0]}")/../launch.sh" \
  configs/mvpformer/mvpformer_voxel0064_cbgs_20e_nus.py "$@"
