"""Install with ``pip install -v -e .`` into an environment prepared by scripts/setup.sh or the Dockerfile."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
VERSION = re.search(r"__version__ = '([^']+)'", (ROOT / 'mmdet3d_plugin' / '__init__.py').read_text()).group(1)

setup(
    name='dualdistill',
    version=VERSION,
    description='LiDAR-to-camera BEV distillation for 3-D object detection',
    license='Apache-2.0',
    packages=find_packages(include=['mmdet3d_plugin', 'mmdet3d_plugin.*']),
    python_requires='>=3.9,<3.13',
    # No install_requires on purpose: mmdet3d 1.0.0rc6 must be installed without its dependencies (it pins a numba that
    # no current Python can install) and mmcv-full is compiled for the torch at hand; pip would undo both. The versions
    # that work together are in requirements/, and scripts/setup.sh installs them in the right order.
)
