"""Hold a training step on a GPU against the same step on the CPU: losses, and gradients module by module.

    python tools/analysis_tools/compare_devices.py configs/quickstart/dualdistill_toy.py
    python tools/analysis_tools/compare_devices.py <config> --precision fp32 bf16 --batch 1 --out outputs/agreement.json

The CPU computes in float32 with the plain torch operators, so that kernels meet a reference that shares no code with
them. Weights are initial ones and some noise, images are noise, and GELU stands in for ReLU, whose kink makes two
correct devices differ. No data set is needed. A difference beyond what the precision explains is named and gives exit
status 1.
"""

import json
import logging
import sys
from pathlib import Path

from benchmarks.arguments import add_model_arguments

from dualdistill_cli import ToolParser, require_files, run_tool

PRECISIONS = ('fp32', 'fp16', 'bf16')


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    add_model_arguments(parser)
    parser.set_defaults(boxes=10, points=8000)
    parser.add_argument('--batch', type=int, default=2, help='samples (default: %(default)s)')
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda', help='default: %(default)s')
    parser.add_argument(
        '--precision', nargs='+', choices=PRECISIONS, default=PRECISIONS, help='default: all; fp16 is slow on a CPU'
    )
    parser.add_argument('--out', type=Path, help='also write the numbers to this JSON file')
    return parser.parse_args(argv)


def rows_of(found):
    """A row for each loss and module, a column for each precision, header first."""
    rows = [['relative difference to the CPU in fp32', *found]]
    agreements = found.values()
    rows.append(['sum of the losses', *(f'{one.total:.1e}' for one in agreements)])
    rows.append(['largest of a loss', *(f'{max(one.losses.values(), default=0.0):.1e}' for one in agreements)])
    rows.append(['all gradients', *(f'{one.gradient:.1e}' for one in agreements)])
    modules = dict.fromkeys(name for one in agreements for name in one.modules)
    rows += [[name, *(f'{one.modules.get(name, 0.0):.1e}' for one in agreements)] for name in modules]
    return rows


def main(argv=None):
    """Compare and report. Returns the exit status: 1 where a precision does not agree."""
    args = parse_args(argv)
    require_files(args.config)
    import torch

    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from agreement.one_step import measure

    from mmdet3d_plugin.audit.wiring_table import columns
    from mmdet3d_plugin.structures.atomic_file import replace_when_done

    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ValueError('--device cuda: torch sees no GPU')
    logging.getLogger('mmcv').setLevel(logging.WARNING)  # it tells how every layer was initialised
    torch.manual_seed(0)
    found = measure(args)
    failures = {precision: one.failures(precision) for precision, one in found.items()}
    rows = rows_of(found)
    print('\n'.join(columns(rows)))
    for precision, sentences in failures.items():
        for sentence in sentences:
            print(f'{precision}: {sentence}', file=sys.stderr)
    if args.out:
        numbers = {name: dict(vars(one), failures=failures[name]) for name, one in found.items()}
        with replace_when_done(args.out) as temporary:
            temporary.write_text(json.dumps(dict(config=args.config, table=rows, precisions=numbers), indent=1) + '\n')
    return int(any(failures.values()))


if __name__ == '__main__':
    run_tool(main)
