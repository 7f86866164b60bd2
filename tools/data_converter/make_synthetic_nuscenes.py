"""Write a synthetic data set in the layout of nuScenes v1.0.

Example: python tools/data_converter/make_synthetic_nuscenes.py --out-dir data/nuscenes --version v1.0-mini
"""

import argparse

from dualdistill_cli import ToolParser, run_tool

# the defaults of SyntheticConfig, which would have to be imported to be asked
VERSIONS = ('v1.0-mini', 'v1.0-trainval')
OBJECTS = (
    'car=6,truck=2,construction_vehicle=2,bus=2,trailer=2,barrier=4,motorcycle=3,bicycle=3,pedestrian=6,traffic_cone=4'
)
CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT')
MORE_CAMERAS = ('CAM_LEFT', 'CAM_RIGHT')


def parse_objects(text):
    """'car=4,bus=1' -> {'car': 4, 'bus': 1}; classes that are not named keep their default count."""
    counts = {} if text == OBJECTS else parse_objects(OBJECTS)
    for item in text.split(','):
        name, _, count = item.partition('=')
        if not count.strip().isdigit():
            raise argparse.ArgumentTypeError(f'{item!r}: expected CLASS=COUNT, as in car=4,bus=1')
        counts[name.strip()] = int(count)
    return counts


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)

    def add(flag, default, text, **kwargs):
        parser.add_argument(flag, type=type(default), default=default, help=f'{text} (default %(default)s)', **kwargs)

    parser.add_argument('--out-dir', required=True, help='data root to write; must not exist, or be made by this tool')
    parser.add_argument('--workers', type=int, help='processes (default: all cores); does not change the content')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace a set made with other settings, and all in it'
    )
    add('--version', VERSIONS[0], 'official version whose scene names are used', choices=VERSIONS)
    add('--scenes', 10, 'number of scenes, training and validation together')
    parser.add_argument('--val-scenes', type=int, help='validation scenes of these (default: the official share)')
    add('--keyframes', 16, 'keyframes per scene, at 2 Hz')
    add('--seed', 0, 'seed of everything')
    parser.add_argument(
        '--image-size', type=int, nargs=2, metavar=('W', 'H'), help='pixels; intrinsics scale (default 400 225)',
        default=(400, 225),
    )  # fmt: skip
    add('--camera-sweep-hz', 12, 'camera images per second, a multiple of 2')
    add('--lidar-sweep-hz', 20, 'LiDAR sweeps per second, a multiple of 2')
    add('--extent', 30.0, 'largest distance in m of any object from the ego, over the whole scene')
    add('--ego-speed', 3.0, 'mean speed of the ego in m/s')
    parser.add_argument(
        '--ego-turn', type=float, nargs=2, metavar=('LOW', 'HIGH'), default=(0.0, 0.0),
        help='degrees per second by which the ego turns, left or right, through a scene; 10 40 is 5 to 20 degrees a '
             'keyframe (default 0 0: the heading only swings a little)',
    )  # fmt: skip
    add('--can-bus', 0.0, 'share of scenes with CAN bus messages, can_bus/<scene>_pose.json')
    add('--lead-in', 0.0, 'seconds of sweeps and images before the first keyframe, 0.5 at most')
    parser.add_argument(
        '--objects', type=parse_objects, default=OBJECTS, metavar='CLASS=N,...',
        help='objects per scene (default %(default)s)',
    )  # fmt: skip
    add('--lidar-beams', 32, 'rings')
    add('--lidar-azimuth-steps', 1084, 'firings per turn')
    add('--lidar-max-range', 70.0, 'm')
    add('--lidar-range-noise', 0.015, 'standard deviation in m')
    add('--lidar-dropout', 0.05, 'share of lost returns; 0 also keeps weak far ones')
    add('--image-noise', 4.0, 'standard deviation of the pixel noise, of 255')
    add('--jpeg-quality', 92, '1-100')
    parser.add_argument(
        '--cameras', nargs='+', default=CAMERAS, metavar='CAMERA',
        help=f"of nuScenes' six (the default) and {', '.join(MORE_CAMERAS)}",
    )  # fmt: skip
    parser.add_argument(
        '--instance-masks', action='store_true', help='also write exact masks of all images to instance_masks/'
    )
    return parser.parse_args(argv)


def settings_of(argv):
    """SyntheticConfig: every setting of a command line, the defaults included."""
    from mmdet3d_plugin.synthetic import SyntheticConfig

    args = vars(parse_args(argv))
    args['image_width'], args['image_height'] = args.pop('image_size')
    return SyntheticConfig(**{name: args[name] for name in SyntheticConfig.names()})


def main(argv=None):
    """Write the set."""
    args = parse_args(argv)
    from mmdet3d_plugin.synthetic import generate

    generate(args.out_dir, settings_of(argv), workers=args.workers, overwrite=args.overwrite)


if __name__ == '__main__':
    run_tool(main)
