"""Everything once, small: synthetic nuScenes data, a LiDAR teacher, a camera student and its distilled twin.

    bash scripts/quickstart.sh            # set-up first, then this file; few scenes have labels
    python tools/quickstart.py --labels all
    python tools/quickstart.py --seeds 0,1,2
    python tools/quickstart.py --teacher mvp        # sparse LiDAR: virtual points, MVP and CenterPoint teachers
    python tools/quickstart.py --family bevformer   # turning drives: LidarFormer teaches BEVFormer

Finished steps are skipped when nothing they depend on has changed; an interrupted training resumes. Every step is one
of the project's ordinary commands, printed in full in ``<out-dir>/steps/*.json``. Model, schedule and data settings
live in ``configs/quickstart/`` and ``configs/unlabelled/``; only the flags of the generated data are here.
"""

import json
import os
import time
from pathlib import Path

from experiments.command_line import add_run_flags, default_jobs, describe_machine
from experiments.quickstart_data import BEVFORMER_SYNTHETIC, SYNTHETIC
from experiments.quickstart_report import build_report, build_results, opening, table
from experiments.scores import scores_in
from workflow.progress import clock
from workflow.schedule import run_steps, run_to_the_end
from workflow.step import write_text

from dualdistill_cli import ToolParser, run_tool
from dualdistill_cli.tables import as_text

# Few scenes have labels, as on the road few frames have. Teacher and student learn from these alone. Then the student
# goes on, once by itself and once with its teacher, who can also tell what the other scenes show.
LABELLED = 20  # per cent of the training scenes
CONFIGS = {
    'teacher': 'configs/quickstart/centerpoint_toy.py',
    'labelled_student': 'configs/unlabelled/labelled_student.py',
    'student': 'configs/unlabelled/labelled_only.py',
    'dualdistill': 'configs/unlabelled/dualdistill_pseudo_labels.py',
}
# With --labels all
ALL_LABELS_CONFIGS = {
    'teacher': 'configs/quickstart/centerpoint_toy.py',
    'student': 'configs/quickstart/bevdepth4d_toy.py',
    'dualdistill': 'configs/quickstart/dualdistill_toy.py',
}
# With --teacher mvp: a LiDAR of few beams, which leaves something for virtual points to add, and the same budget for a
# teacher and a distilled student without them (`_lidar`).
MVP_SYNTHETIC = {'lidar-beams': 8, 'instance-masks': True}
MVP_CONFIGS = {
    'teacher_lidar': 'configs/quickstart/centerpoint_toy.py',
    'teacher': 'configs/quickstart/mvp_toy.py',
    'student': 'configs/quickstart/bevdepth4d_toy.py',
    'dualdistill_lidar': 'configs/quickstart/dualdistill_toy.py',
    'dualdistill': 'configs/quickstart/dualdistill_mvp_toy.py',
}
# With --family bevformer
BEVFORMER_CONFIGS = {
    'teacher': 'configs/quickstart/lidarformer_toy.py',
    'student': 'configs/quickstart/bevformer_toy.py',
    'dualdistill': 'configs/quickstart/lidarformer_to_bevformer_toy.py',
}
# What a reader of the report must know beside its numbers.
BEVFORMER_NOTE = (
    'Heads with object queries learn slowly: after so few iterations a score says how early a student took off and not '
    "how good it gets. The distilled one also starts from its teacher's decoder and queries, so its lead is that head "
    "start and what the teacher's maps taught it together."
)
# (what changes from the second model to the first, first, second); those whose models were trained are reported
COMPARISONS = (
    ('distillation', 'dualdistill', 'student'),
    ('the MVP teacher instead of CenterPoint', 'dualdistill', 'dualdistill_lidar'),
    ('points painted and virtual', 'teacher', 'teacher_lidar'),
)
PICTURES = {'num': 3, 'score-thr': 0.25}


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    add_run_flags(parser, seeds='0', what='teacher, student and distilled student for each')
    parser.add_argument(
        '--family', choices=('bevdepth4d', 'bevformer'), default='bevdepth4d', help='students (default: %(default)s)'
    )
    parser.add_argument('--teacher', choices=('centerpoint', 'mvp'), help='of bevdepth4d (default: centerpoint)')
    parser.add_argument(
        '--labels', choices=('few', 'all'),
        help=f'few: of {LABELLED} per cent of the scenes, for bevdepth4d with centerpoint (default there)',
    )  # fmt: skip
    parser.add_argument('--out-dir', type=Path, help='default: outputs/quickstart, or quickstart_ and what is chosen')
    args = parser.parse_args(argv)
    if args.family == 'bevformer' and args.teacher:
        parser.error('--teacher chooses a teacher of --family bevdepth4d; that of bevformer is LidarFormer')
    kind = 'bevformer' if args.family == 'bevformer' else 'mvp' if args.teacher == 'mvp' else ''
    if kind and args.labels == 'few':
        parser.error(f'--labels few is for bevdepth4d and centerpoint; {kind} runs with all labels')
    args.labels = args.labels or ('all' if kind else 'few')
    kind = kind or ('all_labels' if args.labels == 'all' else '')
    args.out_dir = args.out_dir or Path('outputs', f'quickstart_{kind}' if kind else 'quickstart')
    return args


def make_plan(args):
    """The steps that the command line asks for, as a Plan."""
    from experiments.plan import Plan

    configs, synthetic, bevformer = ALL_LABELS_CONFIGS, SYNTHETIC, args.family == 'bevformer'
    if bevformer:
        configs, synthetic = BEVFORMER_CONFIGS, BEVFORMER_SYNTHETIC
    elif args.teacher == 'mvp':
        configs, synthetic = MVP_CONFIGS, {**SYNTHETIC, **MVP_SYNTHETIC}
    elif args.labels == 'few':
        configs = CONFIGS
    return Plan(
        configs, synthetic, args.out_dir, args.data_root, args.seeds, pictures=PICTURES, link_frames=not bevformer,
        labels=dict.fromkeys(configs, LABELLED) if args.labels == 'few' else None,
    )  # fmt: skip


def summarise(plan, seconds, jobs, wall, remarks=()):
    """Write ``results.json`` and ``report.md``; returns the console table, the gain of distillation and the remarks."""
    per_seed = {
        seed: {name: scores_in(plan.run_dir(name, seed) / 'eval') for name in plan.configs} for seed in plan.seeds
    }
    notes = [
        describe_machine(),
        f'the call that wrote this took {clock(wall)}, {jobs} step(s) at a time; steps done before it were skipped',
        *remarks,
    ]
    for seed, models in per_seed.items():
        for what, new, old in COMPARISONS:
            if new in models and old in models:
                gain = {key: models[new][key] - models[old][key] for key in ('mAP', 'NDS')}
                notes.append(f'seed {seed}: {what} changes mAP by {gain["mAP"]:+.3f} and NDS by {gain["NDS"]:+.3f}')
    results = build_results(per_seed, seconds, wall)
    pictures = sorted((plan.out_dir / 'pictures').glob('*.png'))
    words = opening(per_seed, plan.labels.get('student'))
    report = build_report(words, per_seed, seconds, pictures, plan.out_dir / 'curves.png', plan.out_dir, notes)
    write_text(plan.out_dir / 'results.json', json.dumps(results, indent=2) + '\n')
    write_text(plan.out_dir / 'report.md', report)
    return '\n'.join([as_text(table(per_seed), 'model'), '', *notes])


def main(argv=None):
    """Run the plan. Returns the exit status."""
    args = parse_args(argv)
    os.chdir(Path(__file__).resolve().parent.parent)
    plan = make_plan(args)
    jobs = args.jobs or default_jobs()
    start = time.monotonic()
    status, seconds = run_to_the_end(lambda: run_steps(plan.steps, jobs))
    if status:
        return status
    remarks = [BEVFORMER_NOTE] if args.family == 'bevformer' else []
    print(f'\n{summarise(plan, seconds, jobs, time.monotonic() - start, remarks)}\n')
    print(f'{args.out_dir}/report.md shows the pictures; {args.out_dir}/results.json holds the numbers.')
    return 0


if __name__ == '__main__':
    run_tool(main)
