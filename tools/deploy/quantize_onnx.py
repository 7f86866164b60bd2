"""Turn the convolutions of an exported student into eight bits, or keep the weights of a file in sixteen.

    python tools/deploy/quantize_onnx.py student.onnx --mode static --data-root data/nuscenes --out student_int8.onnx

``static`` looks at images of the training split once, to learn how large the numbers between layers are. ``dynamic``
needs no images and is slower: it looks at each image anew. ``fp16`` halves the size of the file and nothing else. Run
run_onnx.py with --eval afterwards: what a smaller file costs in scores differs from student to student. Heads and depth
nets stay in float32 unless --parts names them.
"""

import os

from dualdistill_cli import ToolParser, require_files, run_tool

MODES = ('static', 'dynamic', 'fp16')


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('model', help='float32 file of export_onnx.py')
    parser.add_argument('--out', required=True, help='file to write (.onnx)')
    parser.add_argument('--mode', choices=MODES, default='static', help='see above (default: static)')
    parser.add_argument('--data-root', help='root of the set whose training images static looks at')
    parser.add_argument('--ann-file', help='info file of the training split, where it has another name')
    parser.add_argument('--samples', type=int, default=32, help='moments that static looks at (default: 32)')
    parser.add_argument(
        '--parts', nargs='+', default=[],
        help='modules of the detector in eight bits (default: image backbone and neck, BEV backbone and neck)',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.mode == 'static' and not args.data_root:
        parser.error('--mode static looks at training images: give --data-root')
    if args.samples < 1:
        parser.error(f'--samples must be positive, got {args.samples}')
    return args


def calibration_of(args):
    """Feeds of training images for ``static``; None else."""
    if args.mode != 'static':
        return None
    from dualdistill_runtime.calibration import calibration_feeds
    from dualdistill_runtime.detector import open_detector
    from dualdistill_runtime.info_frames import InfoFile, info_file

    detector = open_detector(args.model)
    facts = detector.model.facts
    ann_file = args.ann_file or info_file(args.data_root, 'train', facts)
    return calibration_feeds(detector, InfoFile(ann_file, args.data_root, facts), args.samples)


def main(argv=None):
    """Write the smaller file."""
    args = parse_args(argv)
    require_files(args.model)
    from mmdet3d_plugin.deploy.export import require_onnx
    from mmdet3d_plugin.deploy.half_weights import store_half_weights
    from mmdet3d_plugin.deploy.quantize import quantize_file

    require_onnx()
    if args.mode == 'fp16':
        changed = f'{store_half_weights(args.model, args.out)} weights in half precision'
    else:
        counts = quantize_file(args.model, args.out, calibration_of(args), args.parts)
        changed = f'{sum(counts.values())} convolutions of {", ".join(counts)} in eight bits'
    sizes = [os.path.getsize(path) / 1e6 for path in (args.model, args.out)]
    print(f'{args.out}: {changed}, {sizes[0]:.1f} MB -> {sizes[1]:.1f} MB')


if __name__ == '__main__':
    run_tool(main)
