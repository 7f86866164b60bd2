"""What helps, over several seeds: by default the parts of the method, with --study history BEVFormer's memory.

    bash scripts/ablation.sh                                      # set-up first, then this file
    python tools/ablation.py --seeds 0,1 --configs baseline dualdistill
    python tools/ablation.py --study history
    python tools/ablation.py --report-only

For each seed a teacher where one is needed, then every config: training and devkit evaluation, on the same data.
Finished steps are skipped when nothing they depend on has changed; an interrupted training resumes. After every
finished run ``results.json``, ``report.md`` and ``scores.png`` are written anew; runs of earlier calls stay in them.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from experiments.command_line import add_run_flags
from quickstart import SYNTHETIC
from workflow.schedule import run_steps, run_to_the_end

from dualdistill_cli import ToolParser, run_tool
from dualdistill_cli.tables import as_text


@dataclass(frozen=True)
class Size:
    """Configs by name, the generator's flags, and where data and results lie unless the user says otherwise.

    ``evaluate_on``: data root and flags of a set only to evaluate on, None for the validation split of the data.
    ``link_frames``: some config wants the info files of two-frame students.
    """

    configs: dict
    synthetic: dict
    data_root: Path
    out_dir: Path
    database: bool = False
    options: tuple = ()
    evaluate_on: tuple = None
    link_frames: bool = True


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

# What the frame before is worth: a world of cars, half of which move, seen from a car that turns. Nothing reads LiDAR.
HISTORY = Size(
    configs={name: f'configs/history/{name}.py' for name in ('baseline', 'with_history')},
    synthetic={
        **SYNTHETIC, 'scenes': 150, 'val-scenes': 30, 'keyframes': 5, 'extent': 18.0, 'ego-turn': (10, 40),
        'objects': 'car=6,truck=0,construction_vehicle=0,bus=0,trailer=0,barrier=0,motorcycle=0,bicycle=0,pedestrian=0,'
        'traffic_cone=0',
        'camera-sweep-hz': 2, 'lidar-sweep-hz': 2, 'lidar-beams': 16, 'lidar-azimuth-steps': 180,
    },
    data_root=Path('data/ablation_history'),
    out_dir=Path('outputs/ablation_history'),
    link_frames=False,
)  # fmt: skip


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    add_run_flags(parser, seeds='0,1,2', what='every config for each')
    parser.add_argument('--configs', nargs='+', help='names or config files (default: all of the study)')
    parser.add_argument('--out-dir', type=Path, help=f'default: {TOY.out_dir}, {HISTORY.out_dir}, {FULL.out_dir}')
    size = parser.add_mutually_exclusive_group()
    size.add_argument('--study', choices=('method', 'history'), default='method', help='default: %(default)s')
    size.add_argument('--full-size', action='store_true', help='R50 256x704 and a larger data set; wants a GPU')
    parser.add_argument('--report-only', action='store_true', help='write report and plot anew from results.json')
    args = parser.parse_args(argv)
    args.size = FULL if args.full_size else HISTORY if args.study == 'history' else TOY
    args.out_dir = args.out_dir or args.size.out_dir
    return args


def report_anew(out_dir):
    """Write the files about the runs of earlier calls again; returns their rows.

    Raises:
        ValueError: There are none, or an older version wrote them.
    """
    from experiments.ablation.report import write_files
    from experiments.ablation.rows import read_rows

    rows, setting = read_rows(out_dir / 'results.json')
    if not rows:
        raise ValueError(f'{out_dir / "results.json"} has no runs to report; leave out --report-only')
    if not {'training', 'evaluation'} <= set(setting):
        raise ValueError(f'{out_dir / "results.json"} is of an older version: leave out --report-only')
    write_files(out_dir, rows, setting)
    return rows


def main(argv=None):
    """Train, evaluate, report. Returns the exit status."""
    args = parse_args(argv)
    os.chdir(Path(__file__).resolve().parent.parent)
    from experiments.ablation.report import summary_table
    from experiments.ablation.runs import Ablation
    from experiments.ablation.summary import summarise

    from mmdet3d_plugin.engine import pick_device

    if args.report_only:
        rows = report_anew(args.out_dir)
    else:
        ablation = Ablation(args)
        if args.full_size and pick_device() != 'cuda':
            print('no GPU found: trainings of full size take weeks on a CPU', file=sys.stderr)
        status, _ = run_to_the_end(lambda: run_steps(ablation.steps, ablation.jobs, ablation.update))
        if status:
            return status
        rows = ablation.rows
    print(f'\n{as_text(summary_table(summarise(rows)), "config")}\n')
    print(f'{args.out_dir}/report.md has every run and the plot; {args.out_dir}/results.json the numbers.')
    return 0


if __name__ == '__main__':
    run_tool(main)
