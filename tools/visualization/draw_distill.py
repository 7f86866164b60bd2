"""Draw what a distiller compares on one sample: features, regions, scale, attention, loss, heatmaps, as one PNG.

    python tools/visualization/draw_distill.py CONFIG CHECKPOINT --out distill.png [--split val] [--token TOKEN]

CONFIG is a distillation config and CHECKPOINT one of its runs, aligners included; the teacher is loaded too. The sample
goes through the training pipeline, so it is augmented as in training (by ``--seed``), and so is the picture's frame.
"""

from pathlib import Path

from dualdistill_cli import ToolParser, add_cfg_options, add_trust_flag, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='distillation config')
    parser.add_argument('checkpoint', help='checkpoint of a run of it')
    parser.add_argument('--out', type=Path, default=Path('distill.png'), help='picture (default: %(default)s)')
    parser.add_argument('--split', choices=('train', 'val'), default='val', help='samples (default: %(default)s)')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--index', type=int, default=0, help='sample, in order of time (default: %(default)s)')
    which.add_argument('--token', help='sample, by its token')
    parser.add_argument('--panel', type=int, default=150, help='height of a map, px (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the augmentation (default: %(default)s)')
    add_trust_flag(parser)
    add_cfg_options(parser)
    return parser.parse_args(argv)


def find_sample(dataset, index, token):
    """Index of a sample that has objects to train on.

    Raises:
        ValueError: there is no such sample, or it has no object.
    """
    if token is not None:
        tokens = [dataset.data_infos[number]['token'] for number in range(len(dataset))]
        if token not in tokens:
            raise ValueError(f'no sample {token} in {dataset.ann_file}')
        index = tokens.index(token)
    if not 0 <= index < len(dataset):
        raise ValueError(f'{dataset.ann_file} has samples 0 to {len(dataset) - 1}, not {index}')
    if not dataset.get_cat_ids(index):
        raise ValueError(f'sample {index} of {dataset.ann_file} has no object to train on: choose another')
    return index


def build_distiller(cfg, args):
    """The distiller with its weights, in evaluation mode on the device there is."""
    from mmdet3d.models import build_model
    from mmdet3d.utils import get_root_logger

    from mmdet3d_plugin.checkpoints.files import trust_checkpoints
    from mmdet3d_plugin.checkpoints.starting_weights import load_to_test
    from mmdet3d_plugin.engine import pick_device
    from mmdet3d_plugin.engine.config import require_distiller

    require_distiller(cfg, args.config)
    with trust_checkpoints(args.trust_checkpoint):
        model = build_model(cfg.model)
        load_to_test(model, args.checkpoint, args.config, get_root_logger())
    return model.to(pick_device()).eval()


def main(argv=None):
    """Write the picture."""
    args = parse_args(argv)
    import cv2

    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from mmdet.apis import set_random_seed

    from mmdet3d_plugin.audit.overrides import load_checked
    from mmdet3d_plugin.engine import collate_sample
    from mmdet3d_plugin.engine.training_samples import samples_as_in_training
    from mmdet3d_plugin.visualization.bev_maps import panel_sheet
    from mmdet3d_plugin.visualization.distill_panels import distill_rows, truth_boxes

    cfg = load_checked(args.config, args.cfg_options)[0]
    model = build_distiller(cfg, args)
    dataset = samples_as_in_training(cfg, args.split)
    index = find_sample(dataset, args.index, args.token)
    set_random_seed(args.seed)
    batch = collate_sample(dataset[index])
    truth = truth_boxes(batch, dataset.CLASSES)
    title = f'{args.split} sample {dataset.data_infos[index]["token"]}, {len(truth)} boxes (outlined)'
    sheet = panel_sheet(distill_rows(model, batch, truth, args.panel), title)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.out), sheet[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f'cannot write {args.out}')
    print(args.out)


if __name__ == '__main__':
    run_tool(main)
