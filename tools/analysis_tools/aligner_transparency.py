"""Which aligners let the teacher's map through: each is trained alone, on stored maps of one student and its teacher.

    python tools/analysis_tools/aligner_transparency.py configs/ablation/dualdistill.py configs/ablation/aoa_residual.py
        --student outputs/ablation/baseline/epoch_4.pth --teacher outputs/ablation/teacher/epoch_5.pth

The student is not trained: it is one without a teacher, in evaluation mode. The table has, for each config and level,
the correlation of the aligned map with the teacher's on validation keyframes, over all cells and channels and without
each channel's mean over the map, and the feature loss there. All maps are in memory: at toy size about 0.9 MB a sample,
400 samples by default.
"""

import json
from pathlib import Path

from dualdistill_cli import ToolParser, add_cfg_options, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('configs', nargs='+', help='distillation configs; the first makes maps and regions')
    parser.add_argument('--student', required=True, help='checkpoint of the student')
    parser.add_argument('--teacher', help='checkpoint of the teacher (default: that of the first config)')
    parser.add_argument('--steps', type=int, default=600, help='of each aligner (default: %(default)s)')
    parser.add_argument('--batches', type=int, default=100, help='stored of training samples (default: %(default)s)')
    parser.add_argument('--held-out', type=int, default=4, help='of validation samples (default: %(default)s)')
    parser.add_argument('--levels', nargs='+', help='entries (default: all of the first config with a feature loss)')
    parser.add_argument('--seed', type=int, default=0, help='of samples, augmentation, aligners (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('outputs/aligner_transparency.json'), help='%(default)s')
    add_cfg_options(parser, help='overrides of every config')
    args = parser.parse_args(argv)
    if min(args.batches, args.held_out) < 1 or args.steps < 0:
        parser.error('--batches and --held-out must be at least 1, --steps at least 0')
    return args


def read_configs(args):
    """dict[str, Config]: Config file -> config, with the teacher's checkpoint.

    Raises:
        ValueError: One distils nothing.
    """
    from mmdet3d_plugin.audit.overrides import load_checked
    from mmdet3d_plugin.engine.config import require_distiller

    configs = {}
    for file in args.configs:
        cfg = load_checked(file, args.cfg_options)[0]
        require_distiller(cfg, file)
        first = next(iter(configs.values()), cfg)
        cfg.model.teacher.checkpoint = args.teacher or first.model.teacher.checkpoint
        configs[file] = cfg
    return configs


def build_distiller(cfg, seed):
    """The distiller of a config, with random aligners that follow from the seed."""
    from mmdet.apis import set_random_seed
    from mmdet3d.models import build_model

    from mmdet3d_plugin.engine import pick_device

    set_random_seed(seed)
    return build_model(cfg.model).to(pick_device())


def choose_levels(model, wanted, file):
    """Entries to look at.

    Raises:
        ValueError: One is not among those with a feature loss.
    """
    known = list(model.feature_losses)
    unknown = sorted(set(wanted or ()) - set(known))
    if unknown:
        raise ValueError(f'{file}: no feature loss at {", ".join(unknown)}; there is one at {", ".join(known)}')
    return wanted or known


def check_pairs(model, first, names, file):
    """Refuse a config whose entry of the same name is another one: the stored maps and regions are the first's."""
    for name in names:
        ours, theirs = (_pair(one, name) for one in (model, first))
        if ours != theirs:
            raise ValueError(
                f'{file}: entry {name!r} is not that of the first config, {ours} and {theirs}: choose others with '
                f'--levels, or make both the same'
            )


def _pair(model, name):
    """What the stored maps and regions of an entry depend on; None without a feature loss."""
    if name not in model.feature_losses:
        return None
    entry = model.entries[name]
    return entry.student, entry.teacher, entry.regions, model.feature_losses[name].needs_false_positives


def measure(args):
    """dict: config file -> level -> ``correlation`` and ``loss``."""
    from mmdet.apis import set_random_seed
    from mmdet3d.utils import get_root_logger
    from transparency.fit import fit, look
    from transparency.stored_maps import store

    from mmdet3d_plugin.checkpoints.starting_weights import load_to_test
    from mmdet3d_plugin.engine.training_samples import samples_as_in_training

    configs, results = read_configs(args), {}
    file, cfg = next(iter(configs.items()))
    first = build_distiller(cfg, args.seed).eval()
    load_to_test(first.student, args.student, file, get_root_logger())
    names, size = choose_levels(first, args.levels, file), cfg.data.samples_per_gpu
    set_random_seed(args.seed)
    train, held_out = (
        store(first, samples_as_in_training(cfg, split), names, count, size)
        for split, count in (('train', args.batches), ('val', args.held_out))
    )
    for file, cfg in configs.items():
        model = build_distiller(cfg, args.seed)
        check_pairs(model, first, names, file)
        results[file] = {}
        for name in names:
            parts = model.aligners[name], model.feature_losses[name]
            fit(*parts, train, name, args.steps, cfg)
            results[file][name] = look(*parts, held_out, name)
    return results


def table(results):
    """Rows of cells, header first."""
    levels = list(next(iter(results.values())))
    header = ['config', *(f'{level} {what}' for level in levels for what in ('correlation', 'loss'))]
    rows = [
        [Path(file).stem, *(text for level in levels for text in _cells(of_level[level]))]
        for file, of_level in results.items()
    ]
    return [header, *rows]


def _cells(measured):
    return f'{measured["correlation"]:.3f}', f'{measured["loss"]:.4g}'


def main(argv=None):
    """Write the results and print the table."""
    args = parse_args(argv)
    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from dualdistill_cli.tables import as_text
    from mmdet3d_plugin.structures.atomic_file import replace_when_done

    results = measure(args)
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    with replace_when_done(args.out) as temporary:
        temporary.write_text(json.dumps(dict(results=results, settings=settings), indent=2) + '\n')
    print(f'{as_text(table(results), "config")}\n\n{args.out}')


if __name__ == '__main__':
    run_tool(main)
