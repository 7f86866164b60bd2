#!/usr/bin/env bash
# Train with several processes, one per GPU (or CPU processes where there is no GPU).
#   bash tools/dist_train.sh <config> <processes per node> [flags of tools/train.py]
# PYTHON names another interpreter than python. Several nodes: run it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# Flags of tools/train.py, which says more with --help:
#   --work-dir <folder>
#   --resume-from <checkpoint>
#   --auto-resume
#   --no-validate
#   --seed <number>
#   --deterministic
#   --verbose
#   --cfg-options <key=value>...
#   --trust-checkpoint
set -euo pipefail
tools=$(dirname "${BASH_SOURCE[0]}")
. "$tools/../scripts/usage.sh"
begin "$tools/dist_train.sh" 2 "$@"
set -- "${words[@]+"${words[@]}"}"
config=$1
processes=$2
shift 2
check_config "$tools/dist_train.sh" "$config"
check_number "$tools/dist_train.sh" 'processes per node' "$processes"
check_words "$tools/dist_train.sh" "$tools/dist_train.sh" "$@"

exec "${PYTHON:-python}" -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  --nproc_per_node="$processes" \
  "$tools/train.py" "$config" --launcher pytorch "$@"
