#!/usr/bin/env bash
# Train with several processes, one per GPU (or CPU processes where there is no GPU).
#   bash tools/dist_train.sh <config> <processes per node> [flags of tools/train.py]
# PYTHON names another interpreter than python. Several nodes: run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n 2,4p "${BASH_SOURCE[0]}" | cut -c3- >&2
  exit 2
fi
config=$1
processes=$2
shift 2
tools=$(dirname "${BASH_SOURCE[0]}")

exec "${PYTHON:-python}" -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  --nproc_per_node="$processes" \
  "$tools/train.py" "$config" --launcher pytorch "$@"
