"""Convert a checkpoint of a BEVDet, DistillBEV, BEVFormer or mmdet3d < 1.0 code base, with the same predictions as a
result.

    python tools/model_converters/convert_legacy.py CONFIG OLD.pth NEW.pth
    python tools/model_converters/convert_legacy.py CONFIG OLD.pth --dry-run

CONFIG describes the same model here: a CenterPoint, LidarFormer, MVPFormer, BEVDepth4D or BEVFormer, or a distilled one
of the latter two. For a distilled checkpoint the config of the plain student is enough to test, fine-tune or export it.
Every entry of the file must find its place and every entry of the model its value; anything else is an error, and
nothing is written.
"""

import copy
import os

from dualdistill_cli import ToolParser, add_cfg_options, add_trust_flag, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config of the same model here')
    parser.add_argument('checkpoint', help='legacy checkpoint file')
    parser.add_argument('out', nargs='?', help='converted checkpoint file')
    parser.add_argument('--dry-run', action='store_true', help='print what becomes of every entry, write nothing')
    add_trust_flag(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if bool(args.out) == args.dry_run:
        parser.error('give either an output file or --dry-run')
    return args


def build_target(cfg):
    """The model of a config, on random weights; a distiller's teacher is built for its sizes only."""
    from mmdet3d.models import build_model

    model_cfg = copy.deepcopy(cfg.model)
    if model_cfg.type == 'DualDistill':
        model_cfg.teacher.update(checkpoint=None, allow_random_weights=True)
    return build_model(model_cfg, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))


def check_origin(meta, model, path):
    """Refuse a file that needs no conversion, or whose classes, tasks or range are not the config's."""
    from mmdet3d.utils import get_root_logger

    from mmdet3d_plugin.checkpoints.checkpoint_findings import meaning_findings
    from mmdet3d_plugin.checkpoints.findings import MEANING, judge

    if 'dualdistill_version' in meta:
        raise ValueError(f'{path} was written by this code: it follows its conventions already')
    findings = [finding for finding in meaning_findings(model, meta) if finding.check != 'boxes by version']
    judge(findings, path, MEANING, get_root_logger())


def main(argv=None):
    """Convert, or tell what converting would do."""
    args = parse_args(argv)
    import mmdet3d_plugin
    from mmdet3d_plugin.audit.overrides import load_checked
    from mmdet3d_plugin.checkpoints.files import (
        file_sha256,
        load_strictly,
        read_checkpoint,
        trust_checkpoints,
        write_checkpoint,
    )
    from mmdet3d_plugin.checkpoints.legacy_conversion import plan_conversion
    from mmdet3d_plugin.checkpoints.legacy_geometry import check_geometry
    from mmdet3d_plugin.checkpoints.legacy_transformer import conversion_notes, published_facts
    from mmdet3d_plugin.checkpoints.output_meaning import ENTRY, stored_facts

    cfg = load_checked(args.config, args.cfg_options)[0]
    model = build_target(cfg)
    detector = getattr(model, 'student', model)
    with trust_checkpoints(args.trust_checkpoint):
        state, meta = read_checkpoint(args.checkpoint)
    check_origin(meta, detector, args.checkpoint)
    conversion = plan_conversion(state, model)
    if args.dry_run:
        print('\n'.join(conversion.lines))
    for kind in ('unmapped', 'missing'):
        for name in getattr(conversion, kind):
            print(f'{kind}: {name}')
    if conversion.unmapped or conversion.missing:
        raise ValueError(
            f'{args.checkpoint} does not fit {args.config}: {len(conversion.unmapped)} entries of the file have no '
            f'place, {len(conversion.missing)} of the model no value (listed above). If they are the adaptation layers '
            f'of a distilled checkpoint, use the config of the plain student'
        )
    check_geometry(state, detector)
    load_strictly(model, conversion.state, args.checkpoint, args.config)
    for note in conversion_notes(detector, meta, args.config):
        print(f'note: {note}')
    if args.dry_run:
        print(f'every entry has its place: {len(state)} in the file, {len(conversion.state)} in the model')
        return
    kept = {key: meta[key] for key in ('epoch', 'iter', 'CLASSES') if key in meta}
    kept[ENTRY] = {**stored_facts(meta), **published_facts(detector, meta)}
    source = dict(file=os.path.basename(args.checkpoint), sha256=file_sha256(args.checkpoint))
    write_checkpoint(
        args.out, conversion.state, dict(kept, dualdistill_version=mmdet3d_plugin.__version__, converted_from=source)
    )
    print(args.out)


if __name__ == '__main__':
    run_tool(main)
