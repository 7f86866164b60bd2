#!/usr/bin/env bash
# Prepare .venv with everything the project needs. Run it as often as you like: what is already right is skipped.
#
#   DUALDISTILL_PYTHON   interpreter to build .venv from (default: an active environment's, then python3.11, 3.12, 3.10, 3.9)
#   DUALDISTILL_TORCH    torch version to install (default: the torch of the active environment, else 2.13.0;
#                        2.8.0 on Python 3.9, the last one for it)
#   TORCH_INDEX_URL      index to take torch from (default: PyPI; without an NVIDIA driver also PyTorch's CPU index)
#   DUALDISTILL_WHEELS   folder with prebuilt mmcv-full wheels, tried before compiling (default: ../shared/wheels)
#   TORCH_CUDA_ARCH_LIST GPU architectures to compile mmcv-full for (default: those torch finds)
#   MAX_JOBS             parallel compiler jobs (default: all cores)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MMCV=1.7.2
VENV=.venv
STATE=$VENV/.dualdistill
PY=$VENV/bin/python
LOG=$STATE/setup.log
SECONDS=0

say() { printf '[setup %4d s] %s\n' "$SECONDS" "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }

# run <what is happening> <command...>: output to the log, a sign of life every 30 s, the log's end on failure
run() {
  local title=$1 pid waited=0
  shift
  say "$title"
  printf '\n=== %s: %s\n' "$title" "$*" >>"$LOG"
  "$@" >>"$LOG" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    waited=$((waited + 1))
    if [ $((waited % 150)) -eq 0 ]; then say "  ... still at it: $(tail -n 1 "$LOG" | tr -d '\r' | cut -c1-100)"; fi
  done
  if ! wait "$pid"; then
    tail -n 40 "$LOG" >&2
    fail "$title (whole output: $LOG; run this script again to go on from here)"
  fi
}

pip_install() { "$PY" -m pip install --disable-pip-version-check "$@"; }
version_of() { "$PY" -c "import importlib.metadata as m; print(m.version('$1'))" 2>/dev/null || true; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 13))' 2>/dev/null; }

# The folder that holds an interpreter's torch (2.5 or newer), empty without one.
torch_home() {
  "$1" -c "
import importlib.metadata as m, importlib.util as u, pathlib
version = tuple(int(part) for part in m.version('torch').split('.')[:2])
print(pathlib.Path(u.find_spec('torch').origin).parents[1] if version >= (2, 5) else '')" 2>/dev/null || true
}

# An active environment other than our own comes first: its torch is used.
pick_python() {
  local own candidate found
  if [ -n "${DUALDISTILL_PYTHON:-}" ]; then
    found=$(type -P "$DUALDISTILL_PYTHON" || true)
    if [ -z "$found" ] || ! supported "$found"; then
      fail "DUALDISTILL_PYTHON=$DUALDISTILL_PYTHON is not a working Python 3.9 to 3.12"
    fi
    echo "$found"
    return
  fi
  own=$(cd "$VENV" 2>/dev/null && pwd -P || true)
  local path=":$PATH:"
  if [ -n "$own" ]; then path=${path//:"$own/bin":/:}; fi
  path=${path#:}
  local candidates=()
  if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ "${VIRTUAL_ENV:-}" != "$own" ]; then candidates+=(python); fi
  candidates+=(python3.11 python3.12 python3.10 python3.9 python3)
  for candidate in "${candidates[@]}"; do
    # "type -P" of every match: a version manager's shim may refuse to run while a later one works
    while read -r found; do
      if supported "$found"; then
        echo "$found"
        return
      fi
    done < <(PATH=${path%:} type -aP "$candidate")
  done
}

# A folder that was moved or copied keeps programs and an editable install that point at its old place.
made_here() {
  sed -n 's/^.*VIRTUAL_ENV=//p' "$VENV/bin/activate" 2>/dev/null | tr -d "\"'" | grep -Fx -e "$PWD/$VENV" -e "$(pwd -P)/$VENV" >/dev/null
}

venv_is_usable() {
  [ -x "$PY" ] && supported "$PY" && "$PY" -m pip --version >/dev/null 2>&1 || return 1
  if ! made_here; then
    say "$VENV was made at another place, it is made anew"
    return 1
  fi
  if [ -f "$STATE/existing_torch" ] && [ -z "$(version_of torch)" ]; then
    say "the torch that $VENV borrowed is gone, $VENV is made anew"
    return 1
  fi
}

# Everything but the wheels that took minutes to compile.
empty_venv() {
  if [ ! -e "$VENV" ]; then return; fi
  find "$VENV" -mindepth 1 -maxdepth 1 ! -path "$STATE" -exec rm -rf {} +
  if [ -d "$STATE" ]; then find "$STATE" -mindepth 1 -maxdepth 1 ! -path "$STATE/wheels" -exec rm -rf {} +; fi
}

make_venv() {
  local python home
  if venv_is_usable; then return; fi
  python=$(pick_python)
  [ -n "$python" ] || fail 'no Python 3.9 to 3.12 found: install python3.11 or set DUALDISTILL_PYTHON'
  say "creating $VENV with $("$python" -V 2>&1)"
  empty_venv
  "$python" -m venv "$VENV" || fail "$python cannot create a virtual environment (on Debian: apt-get install python3-venv)"
  mkdir -p "$STATE"
  home=$(torch_home "$python")
  if [ -z "${DUALDISTILL_TORCH:-}" ] && [ -n "$home" ]; then
    say "using the torch of the active environment"
    echo "$home" >"$("$PY" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dualdistill_existing_torch.pth"
    touch "$STATE/existing_torch"
  fi
}

default_torch() { if "$PY" -c 'import sys; sys.exit(sys.version_info >= (3, 10))'; then echo 2.8.0; else echo 2.13.0; fi; }

has_nvidia_driver() { nvidia-smi -L 2>/dev/null | grep -q GPU; }
reachable() { "$PY" -c "import urllib.request; urllib.request.urlopen('$1', timeout=5)" 2>/dev/null; }

install_torch() {
  if [ -f "$STATE/existing_torch" ]; then return; fi
  local want=${DUALDISTILL_TORCH:-$(default_torch)} have index=()
  have=$(version_of torch)
  if [ "${have%%+*}" = "${want%%+*}" ] && [ "$(cat "$STATE/torch_index" 2>/dev/null)" = "${TORCH_INDEX_URL:-}" ]; then
    return
  fi
  if [ -n "${TORCH_INDEX_URL:-}" ]; then
    index=(--index-url "$TORCH_INDEX_URL")
  elif ! has_nvidia_driver && reachable https://download.pytorch.org/whl/cpu/; then
    index=(--extra-index-url https://download.pytorch.org/whl/cpu)
  fi
  run "installing torch $want" pip_install "torch==$want" "${index[@]+"${index[@]}"}"
  echo "${TORCH_INDEX_URL:-}" >"$STATE/torch_index"
}

# mmcv_works <cpu or cuda>: the installed mmcv-full runs, and has CUDA operations where they are wanted
mmcv_works() {
  "$PY" - "$MMCV" "$1" <<'CHECK' >>"$LOG" 2>&1
import sys, types
import torch
for name in ('torchvision', 'torchvision.models'):  # mmcv asks for it at import only
    sys.modules.setdefault(name, types.ModuleType(name)).__path__ = []
import mmcv
from mmcv.ops import get_compiling_cuda_version, nms
assert mmcv.__version__ == sys.argv[1], mmcv.__version__
assert sys.argv[2] == 'cpu' or get_compiling_cuda_version() != 'not available', 'no CUDA operations'
boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3.9], [8, 8, 9, 9]])
_, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)
assert kept.tolist() == [0, 2], kept
CHECK
}

# 'cuda' when a CUDA torch and a toolkit of the same major version are there, else 'cpu'.
mmcv_target() {
  local of_torch of_nvcc nvcc=${CUDA_HOME:+$CUDA_HOME/bin/}nvcc
  of_torch=$("$PY" -c 'import torch; print((torch.version.cuda or "").split(".")[0])')
  of_nvcc=$("$nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\)\..*/\1/p' || true)
  if [ -z "$of_torch" ]; then
    echo cpu
  elif [ "$of_torch" = "$of_nvcc" ]; then
    echo cuda
  else
    say "torch is built for CUDA $of_torch, the toolkit found is '${of_nvcc:-none}': mmcv-full gets CPU operations only" >&2
    echo cpu
  fi
}

# mmcv-full's CUDA sources include a header that torch dropped; this one forwards to what replaced it.
write_forwarding_header() {
  mkdir -p "$STATE/include/THC"
  printf '#pragma once\n#include <ATen/cuda/Atomic.cuh>\n' >"$STATE/include/THC/THCAtomics.cuh"
}

# need_compiler: said before the minutes of downloads, when it is plain that mmcv-full has to be compiled
need_compiler() {
  local missing=()
  if ! command -v "${CXX:-g++}" >/dev/null; then missing+=("a C++ compiler (${CXX:-g++})"); fi
  if [ ! -f "$("$PY" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ]; then
    missing+=("Python.h of $("$PY" -V 2>&1)")
  fi
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  fail "mmcv-full $MMCV has to be compiled, and these are missing: $(printf '%s; ' "${missing[@]}")on Debian and Ubuntu:" \
    'apt-get install g++ python3-dev (or python3.11-dev, as your Python is)'
}

wheel_for_us() {
  local python
  python=$("$PY" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  ls "${DUALDISTILL_WHEELS:-../shared/wheels}/mmcv_full-$MMCV-$python-"*.whl "$STATE"/wheels/*/mmcv_full-*"-$python-"*.whl 2>/dev/null
}

build_mmcv() {
  local target=$1 wheels=$2 part=$2.part
  write_forwarding_header
  export CFLAGS="-g0 -O2 -w" MMCV_WITH_OPS=1 MAX_JOBS="${MAX_JOBS:-$(nproc)}"
  if [ "$target" = cuda ]; then
    export FORCE_CUDA=1 CPATH="$PWD/$STATE/include${CPATH:+:$CPATH}"
  else
    export FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=''
  fi
  # pip's own cache would hand a wheel built for one torch to another; this folder is per torch version
  rm -rf "$part"
  "$PY" -m pip wheel --disable-pip-version-check -v --no-deps --no-build-isolation --no-cache-dir --no-binary mmcv-full \
    -w "$part" "mmcv-full==$MMCV" || return 1
  # a killed run leaves no half-written wheel where the next one looks
  rm -rf "$wheels"
  mv "$part" "$wheels"
}

install_mmcv() {
  local target key wheels prebuilt
  target=$(mmcv_target)
  key=torch$(version_of torch)-$target-$("$PY" -c 'import sys; print("py%d%d" % sys.version_info[:2])')
  if [ "$target" = cuda ]; then key+=-$(echo "${TORCH_CUDA_ARCH_LIST:-found}" | tr -c 'A-Za-z0-9.+\n' '_'); fi
  if [ "$(cat "$STATE/mmcv" 2>/dev/null)" = "$key" ] && mmcv_works "$target"; then return; fi
  if [ ! -f "$STATE/mmcv" ] && mmcv_works "$target"; then  # put there by other means, and it runs
    echo "$key" >"$STATE/mmcv"
    return
  fi
  wheels=$STATE/wheels/$key
  prebuilt=${DUALDISTILL_WHEELS:-../shared/wheels}
  if [ "$target" = cpu ] && [ -d "$prebuilt" ]; then
    say "trying a prebuilt mmcv-full $MMCV"
    pip_install --no-deps --no-index --force-reinstall --find-links "$prebuilt" "mmcv-full==$MMCV" >>"$LOG" 2>&1 || true
  fi
  if [ "$target" = cuda ] || ! mmcv_works "$target"; then
    if ! ls "$wheels"/mmcv_full-*.whl >/dev/null 2>&1; then
      need_compiler
      run "compiling mmcv-full $MMCV for $key (5 to 15 minutes)" build_mmcv "$target" "$wheels"
    fi
    run 'installing the compiled mmcv-full' pip_install --no-deps --force-reinstall "$wheels"/mmcv_full-*.whl
    mmcv_works "$target" || fail "mmcv-full $MMCV ($target) does not run with torch $(version_of torch) (see $LOG)"
  fi
  echo "$key" >"$STATE/mmcv"
}

verify() {
  "$PY" - <<'CHECK'
import warnings
warnings.simplefilter('ignore')
import mmdet3d_plugin
import mmcv, mmdet, mmdet3d, mmseg, numba, numpy, nuscenes, torch
from mmcv.ops import Voxelization
from mmdet3d_plugin.engine import pick_device
from mmdet3d_plugin.ops.bev_pool import select_backend
points = torch.tensor([[0.1, 0.1, 0.0, 1.0], [0.2, 0.1, 0.0, 1.0], [1.1, 0.1, 0.0, 1.0]])
for device in sorted({'cpu', pick_device()}):
    voxels, coords, counts = Voxelization([1, 1, 4], [0, 0, -2, 4, 4, 2], 5, 10)(points.to(device))
    assert sorted(counts.tolist()) == [1, 2], counts
print(f'torch {torch.__version__}, mmcv-full {mmcv.__version__}, mmdet {mmdet.__version__}, mmdet3d {mmdet3d.__version__}, '
      f'numpy {numpy.__version__}, device {pick_device()}, operators {select_backend(pick_device())}')
CHECK
}

# Everything that decides what .venv must hold, in one line.
fingerprint() {
  {
    cat requirements/*.txt setup.py scripts/setup.sh mmdet3d_plugin/ops/build_extension.py mmdet3d_plugin/ops/*/csrc/*
    "$PY" -c "import sys, importlib.metadata as m; print(sys.version, sys.prefix, m.version('torch'))"
    echo "${DUALDISTILL_TORCH:-} ${TORCH_INDEX_URL:-} ${TORCH_CUDA_ARCH_LIST:-}"
  } 2>/dev/null | sha256sum | cut -d' ' -f1
}

if [ -f "$STATE/stamp" ] && [ -x "$PY" ] && [ "$(cat "$STATE/stamp")" = "$(fingerprint)" ]; then exit 0; fi

make_venv
mkdir -p "$STATE"
rm -f "$STATE/stamp"
if [ -z "$(wheel_for_us)" ] && ! mmcv_works cpu; then need_compiler; fi
run 'installing build tools' pip_install -r requirements/build.txt
install_torch
run 'installing libraries' pip_install -r requirements/runtime.txt -r requirements/tests.txt -c requirements/constraints.txt
install_mmcv
run 'installing mmdet3d' pip_install --no-deps --no-build-isolation -r requirements/no_deps.txt
run 'installing this project' pip_install -v -e . --no-build-isolation --no-deps
run 'checking the whole stack' verify
tail -n 1 "$LOG"
fingerprint >"$STATE/stamp"
say 'ready'
