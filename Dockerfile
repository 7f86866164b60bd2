# syntax=docker/dockerfile:1
# hadolint global ignore=DL3059
# Everything DualDistill needs, with mmcv-full's CUDA operations for Volta to Hopper (sm_70 to sm_90).
#   docker build -t dualdistill - < Dockerfile        (no build context: nothing is copied in)
#   docker run --gpus all --shm-size 16g -it -v "$PWD":/workspace dualdistill
#   pip install -v -e .                               (inside, once)
# One layer a step, so that a failed compilation keeps what was downloaded before it.
FROM nvidia/cuda:12.6.3-cudnn-devel-ubuntu22.04

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends build-essential ca-certificates git \
      python3.10 python3.10-dev python3.10-venv \
 && rm -rf /var/lib/apt/lists/*

RUN python3.10 -m venv /opt/venv
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH

# The files of requirements/, word for word; a test keeps them equal.
COPY <<"EOF" /opt/requirements/build.txt
# Needed to compile mmcv-full and to install the packages of no_deps.txt; its set-up scripts import pkg_resources.
setuptools==80.10.2
wheel==0.48.0
ninja==1.13.2
EOF

COPY <<"EOF" /opt/requirements/torch_cuda12.txt
# Instead of torch.txt with a toolkit of CUDA 12, as in the Dockerfile: the wheel on PyPI is built for CUDA 12.6.
torch==2.7.1
EOF

COPY <<"EOF" /opt/requirements/runtime.txt
# Comes after torch.txt (or torch_cuda12.txt) and before mmcv.txt and no_deps.txt, which hold the rest.
mmdet==2.28.2
mmsegmentation==0.30.0
nuscenes-devkit==1.2.0
numpy==1.26.4
opencv-python-headless==4.11.0.86
scipy==1.17.1; python_version >= "3.11"
scipy==1.13.1; python_version < "3.11"
matplotlib==3.11.2; python_version >= "3.11"
matplotlib==3.9.4; python_version < "3.11"
pillow==13.0.0; python_version >= "3.11"
pillow==11.3.0; python_version < "3.11"
shapely==2.0.7
pyquaternion==0.9.9
pycocotools==2.0.11
tqdm==4.70.1
tensorboard==2.21.0
# what mmcv-full needs
addict==2.4.0
packaging==26.3
PyYAML==6.0.3
yapf==0.43.0
# what mmdet3d needs, in versions that exist for today's Python
fire==0.7.1
networkx==2.8.8
numba==0.68.1; python_version >= "3.11"
numba==0.60.0; python_version < "3.11"
pandas==3.0.6; python_version >= "3.11"
pandas==2.3.3; python_version < "3.11"
plyfile==1.1.3
scikit-image==0.24.0
scikit-learn==1.9.1; python_version >= "3.11"
scikit-learn==1.6.1; python_version < "3.11"
trimesh==5.2.0; python_version >= "3.11"
trimesh==4.12.2; python_version < "3.11"
EOF

COPY <<"EOF" /opt/requirements/mmcv.txt
# Compiled after torch and runtime.txt are there; scripts/setup_mmcv.sh and the Dockerfile show the settings. By hand, for the CPU:
#   MMCV_WITH_OPS=1 FORCE_CUDA=0 pip install --no-deps --no-build-isolation --no-cache-dir --no-binary mmcv-full -r requirements/mmcv.txt
mmcv-full==1.7.2
EOF

COPY <<"EOF" /opt/requirements/no_deps.txt
# Installed with --no-deps --no-build-isolation: they ask for versions of numba, networkx and trimesh that no current
# Python can install, and for tools they do not use. runtime.txt holds what they need.
mmdet3d==1.0.0rc6
lyft-dataset-sdk==0.0.8
EOF

COPY <<"EOF" /opt/requirements/tests.txt
pytest==9.2.0; python_version >= "3.11"
pytest==8.4.2; python_version < "3.11"
pytest-xdist==3.8.0
pytest-timeout==2.4.0
ruff==0.17.6
mypy==1.18.2
EOF

COPY <<"EOF" /opt/requirements/deploy.txt
# To export students to ONNX and to run the files (docs/deploy.md). A machine that only runs them needs numpy, opencv and
# onnxruntime of these lists. ml-dtypes is what onnx needs; newer ones want numpy 2.
onnx==1.23.2; python_version >= "3.11"
onnx==1.19.1; python_version < "3.11"
onnxruntime==1.32.0; python_version >= "3.11"
onnxruntime==1.19.2; python_version < "3.11"
ml-dtypes==0.5.4
EOF

COPY <<"EOF" /opt/requirements/constraints.txt
# What the pinned packages pull in, as tested on Python 3.11 (torch's own needs are left to torch).
absl-py==2.5.1; python_version >= "3.11"
cachetools==8.0.1; python_version >= "3.11"
cloudpickle==3.1.2; python_version >= "3.11"
contourpy==1.3.3; python_version >= "3.11"
cycler==0.12.1; python_version >= "3.11"
descartes==1.1.0; python_version >= "3.11"
execnet==2.1.2; python_version >= "3.11"
flatbuffers==25.12.19; python_version >= "3.11"
fonttools==4.68.0; python_version >= "3.11"
grpcio==1.85.1; python_version >= "3.11"
ImageIO==2.38.1; python_version >= "3.11"
iniconfig==2.3.1; python_version >= "3.11"
joblib==1.6.0; python_version >= "3.11"
kiwisolver==1.5.1; python_version >= "3.11"
lazy-loader==0.6; python_version >= "3.11"
llvmlite==0.50.0; python_version >= "3.11"
Markdown==3.11.3; python_version >= "3.11"
mmcls==0.25.0; python_version >= "3.11"
mypy-extensions==1.2.0; python_version >= "3.11"
narwhals==2.29.0; python_version >= "3.11"
parameterized==0.9.0; python_version >= "3.11"
pathspec==1.1.1; python_version >= "3.11"
platformdirs==4.14.7; python_version >= "3.11"
pluggy==1.7.0; python_version >= "3.11"
prettytable==3.18.0; python_version >= "3.11"
protobuf==7.36.2; python_version >= "3.11"
Pygments==2.21.0; python_version >= "3.11"
pyparsing==3.3.3; python_version >= "3.11"
python-dateutil==4.0.0; python_version >= "3.11"
six==1.17.0; python_version >= "3.11"
tensorboard-data-server==0.7.2; python_version >= "3.11"
termcolor==3.3.0; python_version >= "3.11"
terminaltables==3.1.10; python_version >= "3.11"
threadpoolctl==3.8.0; python_version >= "3.11"
tifffile==2026.3.3; python_version >= "3.11"
tzdata==2026.6; python_version >= "3.11"
wcwidth==0.9.4; python_version >= "3.11"
Werkzeug==3.1.9; python_version >= "3.11"
EOF

RUN pip install -r /opt/requirements/build.txt

RUN pip install -r /opt/requirements/torch_cuda12.txt

RUN pip install -r /opt/requirements/runtime.txt -r /opt/requirements/tests.txt -r /opt/requirements/deploy.txt -c /opt/requirements/constraints.txt

# mmcv-full's CUDA sources include a header that torch dropped; this one forwards to what replaced it.
RUN mkdir -p /opt/forward/THC \
 && printf '#pragma once\n#include <ATen/cuda/Atomic.cuh>\n' > /opt/forward/THC/THCAtomics.cuh
ARG TORCH_CUDA_ARCH_LIST="7.0 7.5 8.0 8.6 8.9 9.0+PTX"
ARG MAX_JOBS=8
RUN CFLAGS="-g0 -O2 -w" CPATH=/opt/forward FORCE_CUDA=1 MMCV_WITH_OPS=1 \
    pip install -v --no-deps --no-build-isolation --no-binary mmcv-full -r /opt/requirements/mmcv.txt

RUN pip install --no-deps --no-build-isolation -r /opt/requirements/no_deps.txt

WORKDIR /workspace
CMD ["/bin/bash"]
