"""Which part of the method helps: baseline, DistillBEV, DualDistill and its ablations, over several seeds.

    bash scripts/ablation.sh                                      # set-up first, then this file
    python tools/ablation.py --seeds 0,1 --configs baseline dualdistill
    python tools/ablation.py --report-only

For each seed a teacher, then every config: training and devkit evaluation, on the same data. Finished steps are skipped
when nothing they depend on has changed; an interrupted training resumes. After every finished run ``results.json``,
``report.md`` and ``scores.png`` are written anew; runs of earlier calls stay in them.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from data_converter.make_synthetic_nuscenes import settings_of
from quickstart import SYNTHETIC
from workflow.ablation_configs import add_config, choose_configs, with_teacher
from workflow.ablation_report import summary_table, write_files
from workflow.ablation_runs import TEACHER, finished_rows, has_teacher, read_rows, time_left
from workflow.ablation_summary import summarise
from workflow.cli import add_run_flags, default_jobs, describe_machine, run_to_the_end
from workflow.commands import as_flags
from workflow.plan import Plan
from workflow.progress import clock
from workflow.report import as_text

from mmdet3d_plugin.engine import pick_device


@dataclass(frozen=True)
class Size:
    """Configs by name, the generator's flags, and where data and results lie unless the user says otherwise.

    ``evaluate_on``: data root and flags of a set only to evaluate on, None for the validation split of the data.
    """

    configs: dict
    synthetic: dict
    data_root: Path
    out_dir: Path
    database: bool = False
    options: tuple = ()
    evaluate_on: tuple = None


NAMES = ('baseline', 'distillbev', 'dualdistill', 'aoa_off', 'crd_off', 'single_level', 'uniform_weights')
# the quick start's data, which are not made twice, but more scenes to evaluate on: configs differ by little
TOY = Size(
    configs={name: f'configs/ablation/{name}.py' for name in NAMES},
    synthetic=SYNTHETIC,
    data_root=Path('data/quickstart'),
    out_dir=Path('outputs/ablation'),
    evaluate_on=(Path('data/ablation_evaluation'), {**SYNTHETIC, 'seed': 1, 'scenes': 101, 'val-scenes': 100}),
)
R50 = 'configs/lidar2camera_bev_distillation'
FULL = Size(
    configs={
        'baseline': 'configs/bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py',
        'distillbev': f'{R50}/teacher_to_bevdepth4d/distillbev_centerpoint_to_bevdepth4d_r50_256x704.py',
        'dualdistill': f'{R50}/teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py',
        'aoa_off': f'{R50}/ablations/centerpoint_to_bevdepth4d_r50_aoa_off.py',
        'crd_off': f'{R50}/ablations/centerpoint_to_bevdepth4d_r50_crd_off.py',
        'single_level': f'{R50}/ablations/centerpoint_to_bevdepth4d_r50_single_level.py',
        'uniform_weights': f'{R50}/ablations/centerpoint_to_bevdepth4d_r50_weights1_uniform.py',
    },
    synthetic={
        'version': 'v1.0-trainval', 'seed': 0, 'scenes': 180, 'val-scenes': 30, 'keyframes': 8, 'extent': 45.0,
        'image-size': (800, 450),
    },
    data_root=Path('data/ablation_full_size'),
    out_dir=Path('outputs/ablation_full_size'),
    database=True,  # its teacher samples objects
    options=('checkpoint_config.max_keep_ckpts=1', 'evaluation.interval=100'),  # the last epoch counts
)  # fmt: skip


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_flags(parser, seeds='0,1,2', what='a teacher and every config for each')
    parser.add_argument('--configs', nargs='+', help=f'names or config files (default: {",".join(NAMES)})')
    parser.add_argument('--out-dir', type=Path, help=f'default: {TOY.out_dir}, or {FULL.out_dir} with --full-size')
    parser.add_argument('--full-size', action='store_true', help='R50 256x704 and a larger data set; wants a GPU')
    parser.add_argument('--report-only', action='store_true', help='write report and plot anew from results.json')
    args = parser.parse_args(argv)
    args.size = FULL if args.full_size else TOY
    args.out_dir = args.out_dir or args.size.out_dir
    return args


class Ablation:
    """The runs of one call and the files about them and those of earlier calls.

    Args:
        args (argparse.Namespace): See :func:`parse_args`.

    Raises:
        ValueError: The configs cannot be compared, or an earlier ``results.json`` cannot be read.
    """

    def __init__(self, args):
        size, self.out_dir, self.jobs = args.size, args.out_dir, args.jobs or default_jobs()
        self.earlier, _ = read_rows(self.out_dir / 'results.json')
        self.rows = []
        wanted = choose_configs(args.configs, size.configs)
        configs = dict(wanted)
        for row in self.earlier:
            add_config(configs, row['config'], row['config_file'])
        seeds = list(dict.fromkeys([*args.seeds, *(row['seed'] for row in self.earlier)]))
        evaluate_on = None if args.data_root else size.evaluate_on
        self.plan = Plan(
            with_teacher(configs), size.synthetic, None, self.out_dir, args.data_root, seeds,
            own_data_root=size.data_root, database=size.database, options=size.options,
            evaluate_on=evaluate_on,
        )  # fmt: skip
        names = [name for name in wanted if name in self.plan.configs]
        if any(has_teacher(self.plan, name) for name in names):
            names.insert(0, TEACHER)
        self.runs = {(name, seed): self.plan.runs[seed][name] for seed in args.seeds for name in names}
        _, evaluation = evaluate_on or (None, size.synthetic)
        self.setting = {
            'machine': describe_machine(),
            'training': describe_data(self.plan.data_root, size.synthetic),
            'evaluation': describe_data(self.plan.eval_root, evaluation),
        }

    @property
    def steps(self):
        """list[Step]: What this call has to do, seed by seed."""
        data = [*self.plan.data_steps, *self.plan.eval_data_steps]
        return [*data, *(step for pair in self.runs.values() for step in pair)]

    def update(self):
        """Write the files when another run is finished, and say how many are."""
        rows = finished_rows(self.plan)
        if rows == self.rows:
            return
        write_files(self.out_dir, rows, self.setting)
        self._tell_who_left(rows)
        self.rows = rows
        left = time_left(list(self.runs.values()), self.jobs)
        eta = f', about {clock(left)} to go' if left else ''
        print(f'{len(rows)} finished run(s) in {self.out_dir / "report.md"}{eta}', flush=True)

    def _tell_who_left(self, rows):
        """Name the earlier runs that do not hold any more and are not made anew, once."""
        here = {(row['config'], row['seed']) for row in rows} | set(self.runs)
        for row in self.earlier:
            if (row['config'], row['seed']) not in here:
                print(f'{row["config"]} seed {row["seed"]} leaves the table: its files are gone or settings changed')
        self.earlier = []


def describe_data(root, flags):
    """dict: ``data_root`` and the generator's ``settings``, for the report."""
    settings = settings_of(['--out-dir', 'unused', *map(str, as_flags(flags))]).manifest()['settings']
    return {'data_root': root.as_posix(), 'settings': settings}


def main(argv=None):
    """Train, evaluate, report. Returns the exit status."""
    args = parse_args(argv)
    os.chdir(Path(__file__).resolve().parent.parent)
    try:
        if args.report_only:
            rows, setting = read_rows(args.out_dir / 'results.json')
            if not rows:
                raise ValueError(f'{args.out_dir / "results.json"} has no runs to report; leave out --report-only')
            if not {'training', 'evaluation'} <= set(setting):
                raise ValueError(f'{args.out_dir / "results.json"} is of an older version: leave out --report-only')
            write_files(args.out_dir, rows, setting)
        else:
            ablation = Ablation(args)
    except (ValueError, FileNotFoundError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if not args.report_only:
        if args.full_size and pick_device() != 'cuda':
            print('no GPU found: trainings of full size take weeks on a CPU', file=sys.stderr)
        status, _ = run_to_the_end(ablation.steps, ablation.jobs, finished=ablation.update)
        if status:
            return status
        rows = ablation.rows
    print(f'\n{as_text(summary_table(summarise(rows)), name="config")}\n')
    print(f'{args.out_dir}/report.md has every run and the plot; {args.out_dir}/results.json the numbers.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
