"""Strip a checkpoint for handing it out: all weights and the meta, no optimizer, no facts about the machine.

    python tools/model_converters/publish_model.py outputs/<run>/epoch_20.pth centerpoint.pth

The file is named after its content, ``centerpoint-<first 8 digits of its SHA-256>.pth``. A distilled checkpoint keeps
its aligners; ``export_student.py`` leaves them out.
"""

from dualdistill_cli import run_tool
from dualdistill_cli.flags import publishing_args


def main(argv=None):
    """Write the file."""
    args = publishing_args(__doc__, argv)
    from mmdet3d_plugin.checkpoints.publish import publish_file

    publish_file(args, dict)


if __name__ == '__main__':
    run_tool(main)
