"""Cut the student out of a distilled checkpoint: weights and meta, no aligners, no optimizer.

    python tools/model_converters/export_student.py outputs/<run>/epoch_24.pth student.pth

The file is named after its content, ``student-<first 8 digits of its SHA-256>.pth``. It loads in the config of the
plain student and, as the student's part, in the distillation config.
"""

from dualdistill_cli import run_tool
from dualdistill_cli.flags import publishing_args


def main(argv=None):
    """Write the student's file."""
    args = publishing_args(__doc__, argv)
    from mmdet3d_plugin.checkpoints.publish import publish_file, student_weights

    publish_file(args, student_weights)


if __name__ == '__main__':
    run_tool(main)
