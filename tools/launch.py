"""Trains a config on all GPUs, then evaluates its last checkpoint. scripts/launch.sh starts it.

    GPUS=8 DATA_ROOT=/data/nuscenes bash scripts/launch.sh <config> [flags of tools/train.py]

Run it again to resume: training goes on from its newest checkpoint, and a step that finished is skipped while neither
the config nor the flags change. Its output goes to the terminal. GPUS, DATA_ROOT, TEACHER_CKPT and WORK_DIR: see
``bash scripts/launch.sh --help``.
"""

import os
import sys
from pathlib import Path

from experiments.config_file import data_options, read_config, settings_text
from workflow.progress import Console
from workflow.schedule import run_to_the_end
from workflow.step import Step

from dualdistill_cli import ToolParser, require_files, run_tool


def parse_args(argv=None):
    """Read command line and variables; ``args.flags`` are those that only the training gets."""
    words = sys.argv[1:] if argv is None else argv
    # --cfg-options=a=1 b=2, too
    words = [part for word in words for part in (word.split('=', 1) if word.startswith('--cfg-options=') else [word])]
    parser = ToolParser(__doc__, allow_abbrev=False)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', default=os.environ.get('WORK_DIR') or None, help='default: WORK_DIR, or outputs/')
    parser.add_argument('--cfg-options', nargs='+', action='extend', default=[], help='of training and evaluation')
    args, args.flags = parser.parse_known_args(words)
    args.work_dir = Path(args.work_dir or f'outputs/{Path(args.config).stem}')
    return args


def options_of(cfg, more):
    """Flag and overrides of training and evaluation: the data's folder and the teacher's file, then the user's own.

    Raises:
        FileNotFoundError: ``TEACHER_CKPT`` is not there.
    """
    root, teacher = os.environ.get('DATA_ROOT'), os.environ.get('TEACHER_CKPT')
    options = data_options(cfg, root.rstrip('/') or '/') if root else []
    if teacher:
        if not os.path.isfile(teacher):
            raise FileNotFoundError(
                f"TEACHER_CKPT={teacher} does not exist: give the teacher's checkpoint (train it with scripts/teacher)"
            )
        options.append(f'model.teacher.checkpoint={teacher}')
    return ['--cfg-options', *options, *more] if options or more else []


def require_teacher(cfg, options, work_dir):
    """Say at once, and not after minutes of start-up, that a distillation config's teacher is not there.

    Raises:
        FileNotFoundError: its checkpoint is missing, and nothing in the work folder goes on without it.
    """
    teacher = cfg.get('model', {}).get('teacher') or {}
    path = teacher.get('checkpoint') or ''
    chosen = '://' in path or any(word.startswith('model.teacher.') for word in options)
    if path and not chosen and not os.path.exists(path) and not (work_dir / 'latest.pth').exists():
        raise FileNotFoundError(
            f"the teacher's checkpoint {path} does not exist: train it with scripts/teacher or set TEACHER_CKPT"
        )


def train_and_evaluate(args, settings, options, gpus):
    """Run both steps. Training always continues what it finds in the work folder: nothing there is ever removed."""
    work_dir, checkpoint = args.work_dir, args.work_dir / 'latest.pth'
    train = Step(
        'train',
        f'train {work_dir.name}',
        ('bash', 'tools/dist_train.sh', args.config, str(gpus), '--work-dir', str(work_dir), '--auto-resume',
         *args.flags, *options),
        work_dir,
        outputs=(checkpoint,),
        settings=settings,
        shown=True,
    )  # fmt: skip
    environment = {'PYTHON': os.environ.get('PYTHON', sys.executable)}  # of tools/dist_*.sh
    train.run(Console(f'[1/2] {train.title}'), environment)
    evaluate = Step(
        'evaluate',
        f'evaluate {work_dir.name}',
        ('bash', 'tools/dist_test.sh', args.config, str(checkpoint), str(gpus), '--work-dir', str(work_dir / 'eval'),
         '--eval', 'bbox', *options),
        work_dir,
        settings=str(checkpoint.stat().st_mtime_ns),  # trained on in another way, it is evaluated anew
        after=(train,),
        shown=True,
    )  # fmt: skip
    evaluate.run(Console(f'[2/2] {evaluate.title}'), environment)


def main(argv=None):
    """Train, then evaluate. Returns the exit status."""
    args = parse_args(argv)
    os.chdir(Path(__file__).resolve().parent.parent)
    require_files(args.config)
    import torch

    cfg = read_config(args.config)
    options = options_of(cfg, args.cfg_options)
    require_teacher(cfg, options, args.work_dir)
    gpus = os.environ.get('GPUS') or max(1, torch.cuda.device_count())
    return run_to_the_end(lambda: train_and_evaluate(args, settings_text(cfg), options, gpus))[0]


if __name__ == '__main__':
    run_tool(main)
