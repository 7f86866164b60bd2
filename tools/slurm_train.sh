#!/usr/bin/env bash
# Train under Slurm: one torchrun per node, which starts one process per GPU.
#   NODES=2 GPUS_PER_NODE=8 bash tools/slurm_train.sh <partition> <job name> <config> [flags of tools/train.py]
# CPUS_PER_GPU (default 5) and SRUN_ARGS are passed to srun; PORT is the rendezvous port.
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n 2,4p "${BASH_SOURCE[0]}" | cut -c3- >&2
  exit 2
fi
partition=$1
job=$2
config=$3
shift 3
tools=$(dirname "${BASH_SOURCE[0]}")
nodes=${NODES:-1}
gpus=${GPUS_PER_NODE:-8}

# The rendezvous host is the first node of the allocation, known only inside it.
# shellcheck disable=SC2016
inside='MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1) NODE_RANK=$SLURM_NODEID exec bash "$@"'

# shellcheck disable=SC2086
exec env NNODES="$nodes" PORT="${PORT:-29500}" srun -p "$partition" --job-name="$job" --nodes="$nodes" --ntasks-per-node=1 \
  --gres=gpu:"$gpus" --cpus-per-task=$((gpus * ${CPUS_PER_GPU:-5})) --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  bash -c "$inside" slurm_train "$tools/dist_train.sh" "$config" "$gpus" "$@"
