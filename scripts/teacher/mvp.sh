#!/usr/bin/env bash
# Train the MVP teacher (dynamic pillars, virtual points), then evaluate it. Run it again to resume.
#   GPUS=8 ./scripts/teacher/mvp.sh
# GPUS, DATA_ROOT, WORK_DIR and arguments: see scripts/launch.sh.
set -euo pipefail
exec env -u TEACHER_CKPT bash "$(dirname "${BASH_SOURCE[0]}")/../launch.sh" \
  configs/mvp/mvp_pillar02_dynamic_cbgs_20e_nus.py "$@"
