"""Cut the student out of a distilled checkpoint: weights and meta, no aligners, no optimizer.

    python tools/model_converters/export_student.py outputs/<run>/epoch_24.pth student.pth

The file is named after its content, ``student-<first 8 digits of its SHA-256>.pth``. It loads in the config of the
plain student and, as the student's part, in the distillation config.
"""

import sys

import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

# isort: split
from mmdet3d_plugin.conversion import publish_command, student_weights


def main(argv=None):
    """Write the student's file."""
    publish_command(__doc__, student_weights, argv)


if __name__ == '__main__':
    try:
        main()
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'error: {error}')
