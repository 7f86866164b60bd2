#!/usr/bin/env bash
# Prepare .venv with everything the project needs. Run it as often as you like: what is already right is skipped.
#   bash scripts/setup.sh
# It takes no arguments but reads these variables; the scripts that start it (test.sh, quickstart.sh, ...) hand them on.
#   DUALDISTILL_PYTHON   interpreter to build .venv from (default: an active environment's, then python3.11, 3.12, 3.10, 3.9)
#   DUALDISTILL_TORCH    torch version to install (default: the torch of the active environment, else that of
#                        requirements/torch.txt)
#   DUALDISTILL_DEVICE   cpu: no CUDA operators, whatever is here; cuda: CUDA operators or an error, also on a machine
#                        without a GPU (default: CUDA operators where torch and a toolkit allow them)
#   TORCH_INDEX_URL      index to take torch from (default: PyPI; without an NVIDIA driver also PyTorch's CPU index)
#   DUALDISTILL_WHEELS   folder with prebuilt mmcv-full wheels, tried before compiling (default: none): those for one torch in
#                        a folder named as in .venv/.dualdistill/wheels, others beside them
#   TORCH_CUDA_ARCH_LIST GPU architectures to compile for (default: those of the GPUs here; without one, torch's own)
#   MAX_JOBS             parallel compiler jobs (default: all cores)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/usage.sh
. scripts/setup_mmcv.sh
help_if_asked scripts/setup.sh "$@"
if [ $# -gt 0 ]; then refuse scripts/setup.sh "it takes no arguments, settings are variables: '$1'"; fi

MMCV=$(sed -n 's/^mmcv-full==//p' requirements/mmcv.txt)
DEVICE=${DUALDISTILL_DEVICE:-}
OLDEST_TORCH=$(sed -n "s/^_OLDEST_TORCH = '\(.*\)'/\1/p" mmdet3d_plugin/compat.py)
VENV=.venv
STATE=$VENV/.dualdistill
WHEELS=${DUALDISTILL_WHEELS:-$STATE/wheels}
PY=$VENV/bin/python
LOG=$STATE/setup.log
SECONDS=0

say() { printf '[setup %4d s] %s\n' "$SECONDS" "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }

# interrupted <process group, empty when none has started>: stop it, kindly first, as pip then removes its temporary
# folders, which may hold GBs
interrupted() {
  local kind waited
  for kind in INT TERM KILL; do
    kill "-$kind" -- "-$1" 2>/dev/null || break
    for ((waited = 0; waited < 20; waited++)); do
      kill -0 -- "-$1" 2>/dev/null || break
      sleep 0.1
    done
  done
  say 'interrupted; run this script again to go on from here' >&2
  exit 130
}

# run <what is happening> <command...>: output to the log, a sign of life every 30 s, the log's end on failure
run() {
  local title=$1 pid='' waited=0
  shift
  # before the start, or a signal just after it would leave the compilers running
  trap 'interrupted "${pid:-${!:-}}"' INT TERM HUP
  say "$title"
  printf '\n=== %s: %s\n' "$title" "$*" >>"$LOG"
  set -m # a process group of its own: whoever stops this script also stops the compilers
  "$@" >>"$LOG" 2>&1 </dev/null 9<&- &
  pid=$!
  set +m
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    waited=$((waited + 1))
    if [ $((waited % 150)) -eq 0 ]; then say "  ... still at it: $(tail -n 1 "$LOG" | tr -d '\r' | cut -c1-100)"; fi
  done
  trap - INT TERM HUP
  if ! wait "$pid"; then
    tail -n 40 "$LOG" >&2
    fail "$title (whole output: $LOG; run this script again to go on from here)"
  fi
}

pip_install() { "$PY" -m pip install --disable-pip-version-check "$@"; }
version_of() { "$PY" -c "import importlib.metadata as m; print(m.version('$1'))" 2>/dev/null || true; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 13))' 2>/dev/null; }

# The folder that holds an interpreter's torch, empty without one that is new enough.
torch_home() {
  "$1" -c "
import importlib.metadata as m, importlib.util as u, pathlib
version = tuple(int(part) for part in m.version('torch').split('.')[:2])
oldest = tuple(int(part) for part in '$OLDEST_TORCH'.split('.'))
print(pathlib.Path(u.find_spec('torch').origin).parents[1] if version >= oldest else '')" 2>/dev/null || true
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

# The torch of requirements/torch.txt for this Python.
default_torch() {
  "$PY" - <<'READ'
from pip._vendor.packaging.requirements import Requirement
with open('requirements/torch.txt') as file:
    lines = [Requirement(line) for line in file if not line.startswith('#')]
(version,) = [line.specifier for line in lines if line.marker is None or line.marker.evaluate()]
print(str(version).lstrip('='))
READ
}

has_nvidia_driver() { nvidia-smi -L 2>/dev/null | grep -q GPU; }
reachable() { "$PY" -c "import urllib.request; urllib.request.urlopen('$1', timeout=5)" 2>/dev/null; }
cuda_of_torch() { "$PY" -c 'import torch; print((torch.version.cuda or "").split(".")[0])'; }
# The release of the CUDA toolkit, empty without one.
toolkit() {
  local nvcc
  for nvcc in "${CUDA_HOME:-${CUDA_PATH:-}}/bin/nvcc" "$(type -P nvcc)" /usr/local/cuda/bin/nvcc; do
    if [ -x "$nvcc" ]; then
      "$nvcc" --version 2>/dev/null | sed -n 's/.*\(release .*\)/\1/p'
      return
    fi
  done
}

# Before any download: values that cannot lead to an environment.
check_variables() {
  case $DEVICE in
    '' | cpu) ;;
    cuda)
      if [ -z "$(toolkit)" ]; then
        fail 'DUALDISTILL_DEVICE=cuda, but there is no CUDA toolkit: put nvcc on the PATH, set CUDA_HOME, or unset DUALDISTILL_DEVICE'
      fi
      ;;
    *) fail "DUALDISTILL_DEVICE=$DEVICE: choose cpu or cuda, or unset it to take CUDA where torch and a toolkit allow it" ;;
  esac
  if [ -n "${DUALDISTILL_WHEELS:-}" ] && [ ! -d "$WHEELS" ]; then fail "DUALDISTILL_WHEELS=$WHEELS is not a folder"; fi
  case ${DUALDISTILL_TORCH:-$OLDEST_TORCH} in
    *[!0-9A-Za-z.+]* | [!0-9]*) fail "DUALDISTILL_TORCH=$DUALDISTILL_TORCH is not a version such as 2.7.1" ;;
  esac
  if [ "$(printf '%s\n' "$OLDEST_TORCH" "${DUALDISTILL_TORCH:-$OLDEST_TORCH}" | sort -V | head -n 1)" != "$OLDEST_TORCH" ]; then
    fail "DUALDISTILL_TORCH=$DUALDISTILL_TORCH is too old: $OLDEST_TORCH or newer is needed"
  fi
}

install_torch() {
  if [ -f "$STATE/existing_torch" ]; then return; fi
  local want=${DUALDISTILL_TORCH:-$(default_torch)} have index=()
  have=$(version_of torch)
  # the same version for another device is not what is wanted, but pip would leave it in place
  if [ "$DEVICE" = cuda ] && [ -n "$have" ] && [ -z "$(cuda_of_torch)" ]; then
    run "removing torch $have, which is built without CUDA" "$PY" -m pip uninstall -y torch
    have=''
  fi
  if [ "${have%%+*}" = "${want%%+*}" ] && [ "$(cat "$STATE/torch_index" 2>/dev/null)" = "${TORCH_INDEX_URL:-}" ]; then
    return
  fi
  if [ -n "${TORCH_INDEX_URL:-}" ]; then
    index=(--index-url "$TORCH_INDEX_URL")
  elif [ "$DEVICE" != cuda ] && { [ "$DEVICE" = cpu ] || ! has_nvidia_driver; } && reachable https://download.pytorch.org/whl/cpu/; then
    index=(--extra-index-url https://download.pytorch.org/whl/cpu)
  fi
  run "installing torch $want" pip_install "torch==$want" "${index[@]+"${index[@]}"}"
  echo "${TORCH_INDEX_URL:-}" >"$STATE/torch_index"
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
    cat requirements/*.txt setup.py scripts/setup{,_mmcv}.sh mmdet3d_plugin/ops/{build_extension,cuda_toolkit}.py
    cat mmdet3d_plugin/ops/{,*/}csrc/*
    "$PY" -c "import sys, importlib.metadata as m; print(sys.version, sys.prefix, m.version('torch'))"
    echo "${DUALDISTILL_TORCH:-} ${TORCH_INDEX_URL:-} ${TORCH_CUDA_ARCH_LIST:-} $DEVICE"
  } 2>/dev/null | sha256sum | cut -d' ' -f1
}

# Set up without CUDA operators for want of a toolkit, and now there is another.
toolkit_changed() { [ -f "$STATE/unfit_toolkit" ] && [ "$(cat "$STATE/unfit_toolkit")" != "$(toolkit)" ]; }

is_done() {
  [ -f "$STATE/stamp" ] && [ -x "$PY" ] && [ "$(cat "$STATE/stamp")" = "$(fingerprint)" ] && ! toolkit_changed
}

# One set-up at a time, also when tests and quick start are started side by side. Where flock is missing, nobody waits.
wait_for_others() {
  exec 9<scripts/setup.sh
  if ! command -v flock >/dev/null; then return; fi
  if ! flock -n 9; then
    say 'another set-up works in this folder: waiting for it'
    flock 9
  fi
  if is_done; then exit 0; fi # while this one looked or waited
}

check_variables
if is_done; then exit 0; fi
wait_for_others

make_venv
mkdir -p "$STATE"
rm -f "$STATE/stamp"
if [ -z "$(wheel_for_us)" ] && ! mmcv_works cpu; then need_compiler; fi
run 'installing build tools' pip_install -r requirements/build.txt
install_torch
run 'installing libraries' pip_install -r requirements/runtime.txt -r requirements/tests.txt -r requirements/deploy.txt \
  -c requirements/constraints.txt
install_mmcv
run 'installing mmdet3d' pip_install --no-deps --no-build-isolation -r requirements/no_deps.txt
run 'installing this project' pip_install -v -e . --no-build-isolation --no-deps
run 'checking the whole stack' verify
tail -n 1 "$LOG"
fingerprint >"$STATE/stamp"
say 'ready'
