"""Install with ``pip install -v -e .`` into an environment prepared by scripts/setup.sh or the Dockerfile."""

import re
import subprocess
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
VERSION = re.search(r"__version__ = '([^']+)'", (ROOT / 'mmdet3d_plugin' / '__init__.py').read_text()).group(1)


class BuildWithOperators(build_py):
    """Also compiles the operators, next to their sources, for the torch of the environment that is installed into.

    The compiling process is started with ``-E -s``: pip's build isolation works through PYTHONPATH, and without it the
    interpreter sees its own environment, torch included, so that no torch has to be listed, and fetched, as a build
    requirement. Nothing that goes wrong here stops the installation: operators are compiled on first use instead, or
    plain torch is used.
    """

    def run(self):
        script = ROOT / 'mmdet3d_plugin' / 'ops' / 'build_extension.py'
        done = subprocess.run(
            [sys.executable, '-E', '-s', str(script), 'cpp', 'cuda'],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        print(done.stdout.strip(), file=sys.stderr, flush=True)
        super().run()


setup(
    name='dualdistill',
    version=VERSION,
    description='LiDAR-to-camera BEV distillation for 3-D object detection',
    license='Apache-2.0',
    packages=find_packages(include=['mmdet3d_plugin', 'mmdet3d_plugin.*', 'dualdistill_cli', 'dualdistill_runtime']),
    package_data={
        'mmdet3d_plugin.ops': ['csrc/*', '*/csrc/*', 'compiled/*.so'],
        'mmdet3d_plugin.visualization': ['page/*'],
    },
    cmdclass={'build_py': BuildWithOperators},
    python_requires='>=3.9,<3.13',
    # No install_requires on purpose: mmdet3d 1.0.0rc6 must be installed without its dependencies (it pins a numba that
    # no current Python can install) and mmcv-full is compiled for the torch at hand; pip would undo both. The versions
    # that work together are in requirements/, and scripts/setup.sh installs them in the right order.
)
