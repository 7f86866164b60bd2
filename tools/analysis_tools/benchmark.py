"""Times and memory of operators, the training step, the data pipeline, inference and evaluation.

    python tools/analysis_tools/benchmark.py ops --threads 2 --out outputs/benchmark/ops.json
    python tools/analysis_tools/benchmark.py attention --threads 2 --out outputs/benchmark/attention.json
    python tools/analysis_tools/benchmark.py sparse --threads 2 --out outputs/benchmark/sparse.json
    python tools/analysis_tools/benchmark.py step <distillation config> --batch 1 2 --out outputs/benchmark/step.json
    python tools/analysis_tools/benchmark.py data <config> --workers 1 2
    python tools/analysis_tools/benchmark.py inference <config> [--checkpoint <file>]
    python tools/analysis_tools/benchmark.py evaluation --keyframes 600 --boxes 300
    python tools/analysis_tools/benchmark.py tables outputs/benchmark/*.json --into docs/performance.md

What is compared runs in one process, in turn, round by round; numbers are medians with the middle half of all rounds,
ratios are medians over rounds. Evaluations run once, each in a process of its own. Only ``data`` needs a data set.
How to read the tables: docs/performance.md.
"""

import importlib
import sys
from pathlib import Path

from benchmarks.arguments import SUBJECTS

from dualdistill_cli import ToolParser, run_tool

ROUNDS = dict(ops=11, attention=3, sparse=11, step=3, inference=11)


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    subjects = parser.add_subparsers(dest='subject', required=True)
    for name, subject in SUBJECTS.items():
        sub = subjects.add_parser(name, help=subject.help, description=subject.help)
        if name in ROUNDS:
            sub.add_argument('--rounds', type=int, default=ROUNDS[name], help='timed runs (default: %(default)s)')
        sub.add_argument('--threads', type=int, help="CPU threads (default: torch's choice)")
        sub.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
        sub.add_argument('--out', '--json', type=Path, help='also write numbers and tables to this file')
        subject.add_arguments(sub)
    tables = subjects.add_parser('tables', help='write tables of result files into a document')
    tables.add_argument('files', type=Path, nargs='+', help='what --out wrote')
    tables.add_argument('--into', type=Path, required=True, help='Markdown file with <!-- table <file>/<table> -->')
    args = parser.parse_args(argv)
    if getattr(args, 'rounds', 2) < 2:
        parser.error(f'--rounds {args.rounds}: a spread needs at least 2')
    return args


def main(argv=None):
    """Measure and report, or write tables."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)
    import torch

    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from benchmarks.report import fill_document, measure_and_report

    if args.subject == 'tables':
        print(f'{fill_document(args.into, args.files)} table(s) written into {args.into}')
        return
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ValueError('--device cuda: torch sees no GPU')
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    subject = importlib.import_module(f'benchmarks.{SUBJECTS[args.subject].module}')
    measure_and_report('benchmark.py', argv, args, subject.measure)


if __name__ == '__main__':
    run_tool(main)
