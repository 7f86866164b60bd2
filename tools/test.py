"""Run a checkpoint over the test set of its config: evaluate, save or format the predictions.

    python tools/test.py <config> <checkpoint> --eval bbox
    bash tools/dist_test.sh <config> <checkpoint> <processes> --eval bbox

``bbox``, ``mAP`` and ``NDS`` all run the whole nuScenes evaluation. A distilled checkpoint is tested as its student:
neither teacher nor points are needed.
"""

import os.path as osp
import time

from dualdistill_cli import (
    KeyValueAction,
    ToolParser,
    add_cfg_options,
    add_launcher_flags,
    add_trust_flag,
    check_writable,
    require_files,
    run_tool,
)

BACKENDS = ('fast', 'devkit', 'both')  # of NuScenesBEVDataset, which takes seconds to import


def parse_args(argv=None):
    """Read the command line; at least one of the output flags must be there."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    add_trust_flag(parser)
    parser.add_argument('--work-dir', help='metrics file eval_<time>.json; default outputs/<config name>')
    parser.add_argument('--out', help='save the predictions (.pkl)')
    parser.add_argument('--eval', nargs='+', choices=('bbox', 'mAP', 'NDS'), help='run the nuScenes evaluation')
    parser.add_argument('--format-only', action='store_true', help='write the submission file, do not evaluate')
    parser.add_argument(
        '--eval-backend', choices=BACKENDS,
        help="fast (default), devkit: the same scores from nuScenes' own code, both: stop where they differ",
    )  # fmt: skip
    parser.add_argument(
        '--eval-options', nargs='+', action=KeyValueAction, metavar='KEY=VALUE',
        help="arguments of the data set's evaluate()",
    )  # fmt: skip
    parser.add_argument(
        '--fuse-conv-bn', action='store_true', help='fold batch norm into convolutions: a little faster'
    )
    add_cfg_options(parser)
    parser.add_argument('--seed', type=int, default=0, help='seed of random pipeline steps')
    parser.add_argument('--deterministic', action='store_true', help='make cuDNN deterministic')
    add_launcher_flags(parser)
    args = parser.parse_args(argv)
    if not (args.out or args.eval or args.format_only):
        parser.error('nothing to do with the predictions: give --eval, --out or --format-only')
    if args.eval and args.format_only:
        parser.error('--eval and --format-only exclude each other')
    if args.eval_backend and not args.eval:
        parser.error('--eval-backend: nothing is evaluated without --eval')
    if args.eval_backend:
        args.eval_options = {**(args.eval_options or {}), 'backend': args.eval_backend}
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out takes a .pkl file, got {args.out}')
    return args


def report(dataset, predictions, cfg, args):
    """Save, format or evaluate predictions as the flags say."""
    import mmcv

    options = args.eval_options or {}
    if args.out:
        mmcv.mkdir_or_exist(osp.dirname(osp.abspath(args.out)))
        mmcv.dump(predictions, args.out)
        print(f'predictions: {args.out}')
    if args.format_only:
        path, _ = dataset.format_results(predictions, **options)
        print(f'submission: {path}')
    if args.eval:
        # three names of one evaluation: mAP and NDS come out of the same run
        metrics = dataset.evaluate(predictions, metric='bbox', **options)
        mmcv.mkdir_or_exist(osp.abspath(cfg.work_dir))
        path = osp.join(cfg.work_dir, f'eval_{time.strftime("%Y%m%d_%H%M%S", time.localtime())}.json')
        mmcv.dump(dict(config=args.config, checkpoint=args.checkpoint, metric=metrics), path)
        print(f'metrics: {path}')


def report_flags(args):
    """What the flags want to do with the predictions, as :func:`load_for_test` takes it."""
    return dict(
        evaluate=bool(args.eval), format_only=args.format_only, eval_options=args.eval_options or {}, out=args.out
    )


def main(argv=None):
    """Predict over the test set and report."""
    args = parse_args(argv)
    require_files(args.config, args.checkpoint)
    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from mmdet.apis import set_random_seed
    from mmdet.utils import compat_cfg
    from mmdet3d.utils import setup_multi_processes

    from mmdet3d_plugin.audit.run_check import load_for_test
    from mmdet3d_plugin.checkpoints.files import trust_checkpoints
    from mmdet3d_plugin.engine import init_distributed, load_student, run_inference
    from mmdet3d_plugin.engine.pipeline_agreement import check_pipelines
    from mmdet3d_plugin.engine.preflight import check_classes, check_evaluation_data
    from mmdet3d_plugin.engine.test import build_test_loader

    cfg, folders = load_for_test(args.config, args.cfg_options, args.work_dir, **report_flags(args))
    cfg = compat_cfg(cfg)
    setup_multi_processes(cfg)
    distributed = init_distributed(args.launcher, cfg.get('dist_params', {}))
    set_random_seed(args.seed, deterministic=args.deterministic)
    check_writable(folders)
    with trust_checkpoints(args.trust_checkpoint):
        model = load_student(cfg, args.checkpoint, fuse=args.fuse_conv_bn)
    check_pipelines(model, cfg.data.test, 'data.test')
    dataset, loader = build_test_loader(cfg, distributed, model=model)
    check_classes(model, dataset)
    if args.eval:
        check_evaluation_data(dataset, (args.eval_options or {}).get('backend'))
    predictions = run_inference(model, loader, distributed, cfg.work_dir)
    if predictions is not None:
        report(dataset, predictions, cfg, args)


if __name__ == '__main__':
    run_tool(main)
