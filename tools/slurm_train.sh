#!/usr/bin/env bash
# Train under Slurm: one torchrun per node, which starts one process per GPU.
#   NODES=2 GPUS_PER_NODE=8 bash tools/slurm_train.sh <partition> <job name> <config> [flags of tools/train.py]
# CPUS_PER_GPU (default 5) and SRUN_ARGS are passed to srun; PORT is the rendezvous port.
# bash tools/dist_train.sh --help lists the flags.
set -euo pipefail
tools=$(dirname "${BASH_SOURCE[0]}")
. "$tools/../scripts/usage.sh"
begin "$tools/slurm_train.sh" 3 "$@"
set -- "${words[@]+"${words[@]}"}"
partition=$1
job=$2
config=$3
shift 3
nodes=${NODES:-1}
gpus=${GPUS_PER_NODE:-8}
check_config "$tools/slurm_train.sh" "$config"
check_number "$tools/slurm_train.sh" NODES "$nodes"
check_number "$tools/slurm_train.sh" GPUS_PER_NODE "$gpus"
check_words "$tools/slurm_train.sh" "$tools/dist_train.sh" "$@"

# The rendezvous host is the first node of the allocation, known only inside it.
# shellcheck disable=SC2016
inside='MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1) NODE_RANK=$SLURM_NODEID exec bash "$@"'

# shellcheck disable=SC2086
exec env NNODES="$nodes" PORT="${PORT:-29500}" srun -p "$partition" --job-name="$job" --nodes="$nodes" --ntasks-per-node=1 \
  --gres=gpu:"$gpus" --cpus-per-task=$((gpus * ${CPUS_PER_GPU:-5})) --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  bash -c "$inside" slurm_train "$tools/dist_train.sh" "$config" "$gpus" "$@"
