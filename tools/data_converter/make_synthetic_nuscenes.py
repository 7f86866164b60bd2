"""Write a synthetic data set in the layout of nuScenes v1.0.

Example: python tools/data_converter/make_synthetic_nuscenes.py --out-dir data/nuscenes --version v1.0-mini
"""

import argparse
import sys
from dataclasses import fields

from mmdet3d_plugin.datasets.synthetic import SyntheticConfig, generate
from mmdet3d_plugin.datasets.synthetic.config import DEFAULT_OBJECTS, MAX_SCENES
from mmdet3d_plugin.datasets.synthetic.rig import ALL_CAMERAS, CAMERAS


def parse_objects(text):
    """'car=4,bus=1' -> {'car': 4, 'bus': 1}; classes that are not named keep their default count."""
    counts = dict(DEFAULT_OBJECTS)
    for item in text.split(','):
        name, _, count = item.partition('=')
        if not count.strip().isdigit():
            raise argparse.ArgumentTypeError(f'{item!r}: expected CLASS=COUNT, as in car=4,bus=1')
        counts[name.strip()] = int(count)
    return counts


def parse_args(argv=None):
    defaults = {field.name: field.default for field in fields(SyntheticConfig)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def add(flag, kind, text, **kwargs):
        name = flag[2:].replace('-', '_')
        default = defaults.get(name)
        shown = f' (default {default})' if default is not None else ''
        parser.add_argument(flag, type=kind, default=default, help=text + shown, **kwargs)

    parser.add_argument('--out-dir', required=True, help='data root to write; must not exist, or be made by this tool')
    parser.add_argument('--workers', type=int, help='processes (default: all cores); does not change the content')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace a set made with other settings, and all in it'
    )
    add('--version', str, 'official version whose scene names are used', choices=sorted(MAX_SCENES))
    add('--scenes', int, 'number of scenes, training and validation together')
    add('--val-scenes', int, 'of these, validation scenes (default: the official share, at least 1)')
    add('--keyframes', int, 'keyframes per scene, at 2 Hz')
    add('--seed', int, 'seed of everything')
    parser.add_argument(
        '--image-size', type=int, nargs=2, metavar=('W', 'H'), help='pixels; intrinsics scale (default 400 225)',
        default=(defaults['image_width'], defaults['image_height']),
    )  # fmt: skip
    add('--camera-sweep-hz', int, 'camera images per second, a multiple of 2')
    add('--lidar-sweep-hz', int, 'LiDAR sweeps per second, a multiple of 2')
    add('--extent', float, 'largest distance in m of any object from the ego, over the whole scene')
    add('--ego-speed', float, 'mean speed of the ego in m/s')
    parser.add_argument(
        '--objects', type=parse_objects, default=dict(DEFAULT_OBJECTS), metavar='CLASS=N,...',
        help='objects per scene (default ' + ','.join(f'{k}={v}' for k, v in DEFAULT_OBJECTS.items()) + ')',
    )  # fmt: skip
    add('--lidar-beams', int, 'rings')
    add('--lidar-azimuth-steps', int, 'firings per turn')
    add('--lidar-max-range', float, 'm')
    add('--lidar-range-noise', float, 'standard deviation in m')
    add('--lidar-dropout', float, 'share of lost returns; 0 also keeps weak far ones')
    add('--image-noise', float, 'standard deviation of the pixel noise, of 255')
    add('--jpeg-quality', int, '1-100')
    parser.add_argument(
        '--cameras', nargs='+', default=CAMERAS, metavar='CAMERA',
        help="of nuScenes' six (the default) and " + ', '.join(name for name in ALL_CAMERAS if name not in CAMERAS),
    )  # fmt: skip
    parser.add_argument(
        '--instance-masks', action='store_true', help='also write exact masks of all images to instance_masks/'
    )
    return parser.parse_args(argv)


def settings_of(argv):
    """SyntheticConfig: every setting of a command line, the defaults included."""
    args = vars(parse_args(argv))
    args['image_width'], args['image_height'] = args.pop('image_size')
    return SyntheticConfig(**{name: args[name] for name in SyntheticConfig.names()})


def main(argv=None):
    args = parse_args(argv)
    try:
        generate(args.out_dir, settings_of(argv), workers=args.workers, overwrite=args.overwrite)
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
