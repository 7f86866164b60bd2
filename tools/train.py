"""Train a detector from a config file, on CUDA when there is a GPU, else on the CPU.

python tools/train.py configs/bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py
bash tools/dist_train.sh <config> <processes> [the same flags]
"""

import os.path as osp
import time

from dualdistill_cli import (
    ToolParser,
    add_cfg_options,
    add_launcher_flags,
    add_trust_flag,
    check_writable,
    require_files,
    run_tool,
)


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='logs and checkpoints; default outputs/<config name>')
    parser.add_argument('--resume-from', help='checkpoint to continue from')
    parser.add_argument(
        '--auto-resume', action='store_true', help='continue from the newest checkpoint in the work dir'
    )
    add_trust_flag(parser)
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate during training')
    parser.add_argument('--seed', type=int, help="default: the config's; a negative number draws one")
    parser.add_argument('--deterministic', action='store_true', help='make cuDNN deterministic')
    parser.add_argument('-v', '--verbose', action='store_true', help='also log how each parameter is initialised')
    add_cfg_options(parser)
    add_launcher_flags(parser)
    return parser.parse_args(argv)


def settle(cfg, args):
    """Write the command line's choices into the config."""
    from mmcv.runner import get_dist_info
    from mmdet.apis import init_random_seed

    from mmdet3d_plugin.engine import pick_device

    if args.resume_from is not None:
        cfg.resume_from = args.resume_from
    cfg.auto_resume = args.auto_resume or cfg.get('auto_resume', False)
    seed = args.seed if args.seed is not None else cfg.get('seed')
    cfg.seed = init_random_seed(None if seed is None or seed < 0 else seed, device=pick_device())
    cfg.gpu_ids = list(range(get_dist_info()[1]))
    return cfg


def main(argv=None):
    """Build data set and detector, then train."""
    args = parse_args(argv)
    require_files(args.config)
    from mmdet3d_plugin.checkpoints.files import trust_checkpoints

    with trust_checkpoints(args.trust_checkpoint):
        run(args)


def open_log(cfg, config, notes, timestamp):
    """Begin a run's log: environment, config, what is doubtful in it. The config is kept beside it.

    Args:
        cfg (mmcv.Config): Config of the run.
        config (str): Its file.
        notes (list[str]): What to warn of, see :func:`load_for_training`.
        timestamp (str): Name of the log.

    Returns:
        tuple[logging.Logger, str]: The run's logger, and the environment as text.
    """
    from mmcv.runner import get_dist_info
    from mmdet3d.utils import collect_env, get_root_logger

    logger = get_root_logger(osp.join(cfg.work_dir, f'{timestamp}.log'), cfg.get('log_level', 'INFO'))
    environment = '\n'.join(f'{name}: {value}' for name, value in collect_env().items())
    logger.info(f'environment:\n{environment}')
    logger.info(f'config:\n{cfg.pretty_text}')
    if notes:
        logger.warning('in the config, without effect or doubtful:\n' + '\n'.join(f'  {note}' for note in notes))
    if get_dist_info()[0] == 0:
        cfg.dump(osp.join(cfg.work_dir, osp.basename(config)))
    return logger, environment


def run(args):
    """Train as the command line says."""
    import mmdet3d_plugin  # first: it prepares the libraries imported below

    # isort: split
    from mmdet.apis import set_random_seed
    from mmdet3d import __version__ as mmdet3d_version
    from mmdet3d.datasets import build_dataset
    from mmdet3d.utils import setup_multi_processes

    from mmdet3d_plugin.audit.run_check import load_for_training
    from mmdet3d_plugin.engine import build_model, init_distributed, train_detector

    cfg, folders, notes = load_for_training(args.config, args.cfg_options, args.work_dir, not args.no_validate)
    setup_multi_processes(cfg)
    distributed = init_distributed(args.launcher, cfg.get('dist_params', {}))
    settle(cfg, args)

    check_writable(folders)
    timestamp = time.strftime('%Y%m%d_%H%M%S', time.localtime())
    logger, environment = open_log(cfg, args.config, notes, timestamp)
    set_random_seed(cfg.seed, deterministic=args.deterministic)
    model = build_model(cfg, verbose=args.verbose)
    dataset = build_dataset(cfg.data.train)
    model.CLASSES = dataset.CLASSES
    meta = dict(
        dualdistill_version=mmdet3d_plugin.__version__,
        mmdet3d_version=mmdet3d_version,
        config=cfg.pretty_text,
        CLASSES=list(dataset.CLASSES),
        env_info=environment,
        exp_name=osp.basename(args.config),
    )
    train_detector(
        model,
        dataset,
        cfg,
        logger,
        distributed=distributed,
        validate=not args.no_validate,
        timestamp=timestamp,
        meta=meta,
    )


if __name__ == '__main__':
    run_tool(main)
