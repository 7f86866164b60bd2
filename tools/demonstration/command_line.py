"""What demo.py is asked for; the standard library alone."""

import math
from dataclasses import dataclass
from pathlib import Path

from dualdistill_cli import ToolParser, add_cfg_options, add_trust_flag
from dualdistill_cli.flags import add_camera_option

QUICKSTART = Path('outputs/quickstart')
# name on the pictures -> config and folder of the quick start's run
QUICKSTART_MODELS = {
    'student': ('configs/unlabelled/labelled_only.py', 'student'),
    'distilled student': ('configs/unlabelled/dualdistill_pseudo_labels.py', 'dualdistill'),
}


@dataclass(frozen=True)
class Model:
    """A model to show: its name on the pictures, its config file and its checkpoint."""

    name: str
    config: str
    checkpoint: str


def parse_args(description: str, argv=None):
    """Read the command line; ``models`` is a list of :class:`Model`."""
    parser = ToolParser(description)
    parser.add_argument(
        'pairs', nargs='*', metavar='CONFIG CHECKPOINT', help="any number of models (default: the quick start's)"
    )
    parser.add_argument('--names', nargs='+', help="of the models on the pictures (default: their configs' file names)")
    parser.add_argument('--data-root', help="nuScenes-format data root to read instead of the configs'")
    parser.add_argument(
        '--version', help='read the tables of this version in the data root: no info files have to be there'
    )
    add_camera_option(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--scene', nargs='+', metavar='NAME', help='scenes to show')
    which.add_argument('--sample', metavar='TOKEN', help='keyframe to show')
    parser.add_argument(
        '--frames', type=int, default=12,
        help='without --scene and --sample: whole scenes until there are this many keyframes (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--out-dir', type=Path, default=Path('outputs/demo'), help='default: %(default)s')
    parser.add_argument('--score-thr', type=float, default=0.3, help='least score of boxes (default: %(default)s)')
    parser.add_argument('--range', type=float, help="half side of the bird's-eye view, m (default: the config's range)")
    parser.add_argument('--fps', type=float, default=2.0, help='frames a second (default: %(default)s, as recorded)')
    parser.add_argument('--camera-width', type=int, default=400, help='of camera images, px (default: %(default)s)')
    parser.add_argument(
        '--credit', help='line below the pictures (default: what nuScenes asks for, where the data is nuScenes)'
    )
    add_trust_flag(parser)
    add_cfg_options(parser, help="overrides of the models' configs, key.subkey=value")
    args = parser.parse_args(argv)
    _check_numbers(parser, args)
    if args.cameras and not args.version:
        parser.error('--cameras goes with --version; info files and configs say theirs')
    args.models = _models(parser, args)
    return args


def _check_numbers(parser, args):
    for flag in ('frames', 'fps', 'camera_width', 'range'):
        value = getattr(args, flag)
        if value is not None and not 0 < value < math.inf:
            parser.error(f'--{flag.replace("_", "-")} must be positive, got {value}')
    if not 0 <= args.score_thr <= 1:
        parser.error(f'--score-thr must lie between 0 and 1, got {args.score_thr}')


def _models(parser, args):
    """list[Model]: What the command line names."""
    if not args.pairs:
        if args.names:
            parser.error('--names: name models with CONFIG CHECKPOINT first')
        return [
            Model(name, config, str(QUICKSTART / folder / 'latest.pth'))
            for name, (config, folder) in QUICKSTART_MODELS.items()
        ]
    if len(args.pairs) % 2:
        parser.error(f'models are pairs, CONFIG CHECKPOINT CONFIG CHECKPOINT ...: got {len(args.pairs)} word(s)')
    configs, checkpoints = args.pairs[::2], args.pairs[1::2]
    names = args.names or [Path(config).stem for config in configs]
    if len(names) != len(configs):
        parser.error(f'--names: {len(names)} name(s) for {len(configs)} model(s)')
    if len(set(names)) < len(names):
        parser.error(f'two models have the same name: tell {", ".join(names)} apart with --names')
    return [Model(*row) for row in zip(names, configs, checkpoints)]
