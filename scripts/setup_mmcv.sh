# shellcheck shell=bash
# Sourced by setup.sh: for which device mmcv-full is wanted, where its wheel comes from, and how it is compiled.

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

# 'cuda' when a CUDA torch and a toolkit of the same major version are there, else 'cpu'; leaves the settings of nvcc.
mmcv_target() {
  local obstacle
  rm -f "$STATE/unfit_toolkit"
  if [ "$DEVICE" = cpu ]; then
    echo cpu
  elif "$PY" mmdet3d_plugin/ops/cuda_toolkit.py >"$STATE/cuda_settings" 2>"$STATE/cuda_obstacle"; then
    echo cuda
  else
    obstacle=$(tail -n 1 "$STATE/cuda_obstacle")
    if [ "$DEVICE" = cuda ]; then fail "DUALDISTILL_DEVICE=cuda, but $obstacle"; fi
    if [ -n "$(cuda_of_torch)" ]; then
      say "$obstacle: mmcv-full gets CPU operations only" >&2
      toolkit >"$STATE/unfit_toolkit"
    fi
    echo cpu
  fi
}

# setting <name>: a variable to compile CUDA sources with, empty when torch finds it by itself
setting() { sed -n "s/^$1=//p" "$STATE/cuda_settings"; }

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
  ls "$WHEELS"/{.,*}/"mmcv_full-$MMCV-$python-"*.whl "$STATE"/wheels/*/mmcv_full-*"-$python-"*.whl 2>/dev/null
}

# build_mmcv <cpu or cuda> <folder for the wheel>
build_mmcv() {
  local target=$1 wheels=$2 part=$2.part line
  write_forwarding_header
  export CFLAGS="-g0 -O2 -w" MMCV_WITH_OPS=1 MAX_JOBS="${MAX_JOBS:-$(nproc)}"
  if [ "$target" = cuda ]; then
    while read -r line; do export "${line?}"; done <"$STATE/cuda_settings"
    export FORCE_CUDA=1 CPATH="$PWD/$STATE/include${CPATH:+:$CPATH}"
  else
    export FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=''
  fi
  # pip's own cache would hand a wheel built for one torch to another; this folder is per torch version
  rm -rf "$part"
  "$PY" -m pip wheel --disable-pip-version-check -v --no-deps --no-build-isolation --no-cache-dir --no-binary mmcv-full \
    -w "$part" -r requirements/mmcv.txt || return 1
  # a killed run leaves no half-written wheel where the next one looks
  rm -rf "$wheels"
  mv "$part" "$wheels"
}

# mmcv_key <cpu or cuda> <GPU architectures>: what a wheel of mmcv-full depends on
mmcv_key() {
  local key
  key=torch$(version_of torch)-$1-$("$PY" -c 'import sys; print("py%d%d" % sys.version_info[:2])')
  if [ "$1" = cuda ]; then key+=-$(echo "${2:-found}" | tr -c 'A-Za-z0-9.+\n' '_'); fi
  echo "$key"
}

# The wheels compiled for this very torch come first, ours or handed on; one that does not say for which torch must run.
install_prebuilt_mmcv() {
  local target=$1 key=$2 folder
  for folder in "$STATE/wheels/$key" "$WHEELS/$key" "$WHEELS"; do
    if [ "$folder" = "$WHEELS" ] && [ "$target" = cuda ]; then continue; fi
    if ! ls "$folder/mmcv_full-$MMCV-"*.whl >/dev/null 2>&1; then continue; fi
    say "trying a prebuilt mmcv-full $MMCV"
    pip_install --no-deps --no-index --force-reinstall --find-links "$folder" -r requirements/mmcv.txt >>"$LOG" 2>&1 || continue
    if mmcv_works "$target"; then return; fi
  done
  return 1
}

install_mmcv() {
  local target architectures='' key wheels
  target=$(mmcv_target)
  if [ "$target" = cuda ]; then architectures=$(setting TORCH_CUDA_ARCH_LIST); fi
  key=$(mmcv_key "$target" "$architectures")
  if [ "$(cat "$STATE/mmcv" 2>/dev/null)" = "$key" ] && mmcv_works "$target"; then return; fi
  if [ ! -f "$STATE/mmcv" ] && mmcv_works "$target"; then  # put there by other means, and it runs
    echo "$key" >"$STATE/mmcv"
    return
  fi
  if ! install_prebuilt_mmcv "$target" "$key"; then
    wheels=$STATE/wheels/$key
    need_compiler
    if [ -n "$architectures" ] && [ "$architectures" != "${TORCH_CUDA_ARCH_LIST:-}" ]; then
      say "no GPU is seen: compiling for torch's own architectures, $architectures. TORCH_CUDA_ARCH_LIST names others" \
        '(one takes a fraction of the time), DUALDISTILL_DEVICE=cpu leaves CUDA out'
    fi
    run "compiling mmcv-full $MMCV for $key (5 to 15 minutes on the CPU, longer for GPUs)" \
      build_mmcv "$target" "$wheels"
    run 'installing the compiled mmcv-full' pip_install --no-deps --force-reinstall "$wheels"/mmcv_full-*.whl
    mmcv_works "$target" || fail "mmcv-full $MMCV ($target) does not run with torch $(version_of torch) (see $LOG)"
  fi
  echo "$key" >"$STATE/mmcv"
}
