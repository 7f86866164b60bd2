"""Strip a checkpoint for handing it out: all weights and the meta, no optimizer, no facts about the machine.

    python tools/model_converters/publish_model.py outputs/<run>/epoch_20.pth centerpoint.pth

The file is named after its content, ``centerpoint-<first 8 digits of its SHA-256>.pth``. A distilled checkpoint keeps
its aligners; ``export_student.py`` leaves them out.
"""

import sys

import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

# isort: split
from mmdet3d_plugin.conversion import publish_command


def main(argv=None):
    """Write the file."""
    publish_command(__doc__, dict, argv)


if __name__ == '__main__':
    try:
        main()
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'error: {error}')
