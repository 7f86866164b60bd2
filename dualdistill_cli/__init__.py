"""The command line of every tool: parsed before torch and the libraries on top of it are imported.

Only the standard library is used here, so that ``--help`` and a mistyped flag answer at once. A tool parses first,
imports second and runs third::

    from dualdistill_cli import ToolParser, run_tool

    def parse_args(argv=None):
        parser = ToolParser(__doc__)
        ...
        return parser.parse_args(argv)

    def main(argv=None):
        args = parse_args(argv)
        from mmdet3d_plugin import ...

    if __name__ == '__main__':
        run_tool(main)
"""

from .endings import require_files, run_tool
from .flags import add_cfg_options, add_launcher_flags, add_trust_flag
from .folders import check_writable
from .key_values import KeyValueAction
from .parser import ToolParser

__all__ = [
    'KeyValueAction',
    'ToolParser',
    'add_cfg_options',
    'add_launcher_flags',
    'add_trust_flag',
    'check_writable',
    'require_files',
    'run_tool',
]
