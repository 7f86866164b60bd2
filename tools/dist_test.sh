#!/usr/bin/env bash
# Test with several processes, one per GPU (or CPU processes where there is no GPU).
#   bash tools/dist_test.sh <config> <checkpoint> <processes per node> [flags of tools/test.py]
# PYTHON names another interpreter than python. Several nodes: run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# Flags of tools/test.py, which says more with --help:
#   --eval <bbox, mAP or NDS>...
#   --eval-backend <fast, devkit or both>
#   --out <predictions.pkl>
#   --format-only
#   --eval-options <key=value>...
#   --work-dir <folder>
#   --fuse-conv-bn
#   --seed <number>
#   --deterministic
#   --cfg-options <key=value>...
#   --trust-checkpoint
set -euo pipefail
tools=$(dirname "${BASH_SOURCE[0]}")
. "$tools/../scripts/usage.sh"
begin "$tools/dist_test.sh" 3 "$@"
set -- "${words[@]+"${words[@]}"}"
config=$1
checkpoint=$2
processes=$3
shift 3
check_config "$tools/dist_test.sh" "$config"
check_number "$tools/dist_test.sh" 'processes per node' "$processes"
check_words "$tools/dist_test.sh" "$tools/dist_test.sh" "$@"

exec "${PYTHON:-python}" -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  --nproc_per_node="$processes" \
  "$tools/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
