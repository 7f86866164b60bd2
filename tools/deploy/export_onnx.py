"""Write a trained student as an ONNX file that runs without torch and mmcv.

    python tools/deploy/export_onnx.py <config> <checkpoint> --out student.onnx

The file holds standard operators alone, and in its metadata all that its reader must know: how images become its
input, which cameras and which earlier moment it looks at, what its boxes mean. A distilled checkpoint is exported as
its student. In the end torch and onnxruntime run the same random moments, and the largest difference is printed.
"""

from pathlib import Path

from dualdistill_cli import ToolParser, add_cfg_options, add_trust_flag, require_files, run_tool

MAX_DIFFERENCE = 1e-3  # of float32 outputs; what is wrong is wrong by more


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config file, of the student or of its distillation')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', required=True, help='file to write (.onnx)')
    parser.add_argument(
        '--with-decode', action='store_true', help='boxes of the highest peaks come out instead of whole maps or codes'
    )
    parser.add_argument('--opset', type=int, default=17, help='ONNX opset, 17 to 20 (default: 17)')
    parser.add_argument(
        '--camera-size', nargs=2, type=int, metavar=('HEIGHT', 'WIDTH'),
        help="of the largest cameras' own images; BEVFormer needs it where the test set of the config is not there",
    )  # fmt: skip
    parser.add_argument(
        '--cameras', nargs='+', metavar='CAMERA',
        help="in the order of the network's input (default: those of the config's test set; nuScenes' where it is not "
        'there)',
    )  # fmt: skip
    parser.add_argument('--fp16', action='store_true', help='keep the weights in half precision: half the size')
    add_trust_flag(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if not args.out.endswith('.onnx'):
        parser.error(f'--out takes an .onnx file, got {args.out}')
    return args


def export(cfg, detector, path, args):
    """Write the file and hold it against torch; returns the graph and how far they agree."""
    from mmdet3d_plugin.deploy.export import export_student
    from mmdet3d_plugin.deploy.half_weights import store_half_weights
    from mmdet3d_plugin.deploy.verify import compare

    options = dict(decoded=args.with_decode, opset=args.opset, camera_size=args.camera_size, cameras=args.cameras)
    graph = export_student(cfg, detector, path, **options)
    agreement = compare(detector, graph, path)
    if not (agreement.same_inputs <= MAX_DIFFERENCE and agreement.typical <= MAX_DIFFERENCE):  # or not a number
        raise ValueError(
            f'{args.out}: not written. The export differs from torch by {agreement.same_inputs:.1e} with the same '
            f'inputs, and by {agreement.typical:.1e} in the median with its own: tell us the config and the version of '
            f'torch'
        )
    if args.fp16:
        store_half_weights(path, path)
    return graph, agreement


def main(argv=None):
    """Export and compare; the file appears when both are done."""
    args = parse_args(argv)
    require_files(args.config, args.checkpoint)
    import os

    from mmdet3d_plugin.checkpoints.files import trust_checkpoints
    from mmdet3d_plugin.deploy.export import require_onnx
    from mmdet3d_plugin.engine import load_config, load_student
    from mmdet3d_plugin.engine.pipeline_agreement import check_pipelines
    from mmdet3d_plugin.structures.atomic_file import scratch_folder

    require_onnx()
    cfg = load_config(args.config, args.cfg_options)
    with trust_checkpoints(args.trust_checkpoint):
        detector = load_student(cfg, args.checkpoint).cpu()
    check_pipelines(detector, cfg.data.test, 'data.test')
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(out.parent, out.name) as folder:
        graph, agreement = export(cfg, detector, folder / out.name, args)
        os.replace(folder / out.name, out)
    print(f'{args.out}: {os.path.getsize(args.out) / 1e6:.1f} MB, opset {args.opset}, inputs {", ".join(graph.inputs)}')
    print(
        f'largest difference of torch and onnxruntime, float32: {agreement.same_inputs:.1e} with the same inputs, '
        f'{agreement.own_way:.1e} with their own geometry'
    )


if __name__ == '__main__':
    run_tool(main)
