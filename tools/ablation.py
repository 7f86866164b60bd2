"""What helps, over several seeds: by default the parts of the method; other studies with --study.

    bash scripts/ablation.sh                                      # set-up first, then this file
    python tools/ablation.py --seeds 0,1 --configs baseline dualdistill
    python tools/ablation.py --study unlabelled --labels 20       # few labels, and a teacher for the rest
    python tools/ablation.py --study unlabelled_bevformer         # the same with BEVFormer students
    python tools/ablation.py --study history                      # BEVFormer's memory
    python tools/ablation.py --report-only

For each seed a teacher where one is needed, then every config: training and devkit evaluation, on the same data.
Finished steps are skipped when nothing they depend on has changed; an interrupted training resumes. After every
finished run ``results.json``, ``report.md`` and ``scores.png`` are written anew; runs of earlier calls stay in them.
"""

import os
import sys
from pathlib import Path

from experiments.ablation.studies import FULL_SIZE, STUDIES
from experiments.command_line import add_run_flags, percentages
from workflow.schedule import run_steps, run_to_the_end

from dualdistill_cli import ToolParser, run_tool
from dualdistill_cli.tables import as_text


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    add_run_flags(parser, seeds='0,1,2', what='every config for each')
    parser.add_argument('--configs', nargs='+', help='names or config files (default: all of the study)')
    folders = ', '.join(str(study.out_dir) for study in (*STUDIES.values(), FULL_SIZE))
    parser.add_argument('--out-dir', type=Path, help=f'default: {folders}')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--study', choices=tuple(STUDIES), default='method', help='default: %(default)s')
    which.add_argument('--full-size', action='store_true', help='R50 256x704 and a larger data set; wants a GPU')
    parser.add_argument('--labels', type=percentages, help='per cent of the scenes that are labelled: 10,20,100')
    parser.add_argument('--report-only', action='store_true', help='write report and plot anew from results.json')
    args = parser.parse_args(argv)
    study = FULL_SIZE if args.full_size else STUDIES[args.study]
    if args.labels and study.labels is None:
        few = ' and '.join(f'--study {name}' for name, study in STUDIES.items() if study.labels)
        parser.error(f'--labels is for {few}: the other studies train on all labels')
    args.study, args.out_dir, args.labels = study, args.out_dir or study.out_dir, args.labels or study.labels or (None,)
    return args


def report_anew(out_dir):
    """Write the files about the runs of earlier calls again; returns their rows and their setting.

    Raises:
        ValueError: There are none, or an older version wrote them.
    """
    from experiments.ablation.report import write_files
    from experiments.ablation.rows import read_rows

    rows, setting = read_rows(out_dir / 'results.json')
    if not rows:
        raise ValueError(f'{out_dir / "results.json"} has no runs to report; leave out --report-only')
    if not {'training', 'evaluation', 'baseline'} <= set(setting):
        raise ValueError(f'{out_dir / "results.json"} is of an older version: leave out --report-only')
    write_files(out_dir, rows, setting)
    return rows, setting


def main(argv=None):
    """Train, evaluate, report. Returns the exit status."""
    args = parse_args(argv)
    os.chdir(Path(__file__).resolve().parent.parent)
    from experiments.ablation.report import tables_of
    from experiments.ablation.runs import Ablation
    from experiments.ablation.summary import summarise

    from mmdet3d_plugin.engine import pick_device

    if args.report_only:
        rows, setting = report_anew(args.out_dir)
    else:
        ablation = Ablation(args)
        if args.full_size and pick_device() != 'cuda':
            print('no GPU found: trainings of full size take weeks on a CPU', file=sys.stderr)
        status, _ = run_to_the_end(lambda: run_steps(ablation.steps, ablation.jobs, ablation.update))
        if status:
            return status
        rows, setting = ablation.rows, ablation.setting
    for title, tables in tables_of(summarise(rows, setting['baseline']), gains_of=('mAP', 'NDS')):
        print(f'\n{title}', *(as_text(table, 'config') for table in tables), sep='\n\n')
    print(f'\n{args.out_dir}/report.md has every run and the plot; {args.out_dir}/results.json the numbers.')
    return 0


if __name__ == '__main__':
    run_tool(main)
