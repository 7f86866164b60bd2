"""Steps that make a synthetic nuScenes data set and its info files."""

import json
from pathlib import Path

from data_converter.make_synthetic_nuscenes import settings_of
from workflow.step import Step

from mmdet3d_plugin.datasets.infos.info_io import BOX_CONVENTION, SCHEMA
from mmdet3d_plugin.datasets.virtual_point_files.storage import FORMAT

from .command_line import as_flags


def data_steps(
    root: Path, synthetic: dict, overwrite: bool, database: bool = False, prefix: str = '', link_frames: bool = True
) -> list:
    """Steps from nothing to a data root that trainings can read.

    Markers and logs lie beside the data, as the generator replaces the whole folder, and not with the results, as
    several runs may share the data.

    Args:
        root: Data root.
        synthetic: Flags of the data generator, without dashes; ``version`` among them. With ``instance-masks``,
            virtual points are made from the masks.
        overwrite: Replace a set made with other flags; never for a folder that the user pointed at.
        database: Also collect the training objects for ground-truth sampling.
        prefix: Of the steps' names, where a workflow makes several sets.
        link_frames: Also make the info files that know each keyframe's previous camera frames.

    Returns:
        list[Step]: In running order; each comes after the one before.
    """
    version, steps = synthetic['version'], []

    def add(name, title, words, outputs, settings=''):
        home, outputs = root.parent / f'.{root.name}-made-by', tuple(root / file for file in outputs)
        after = tuple(steps[-1:])
        steps.append(Step.of_tool(prefix + name, title, words, home, outputs=outputs, settings=settings, after=after))

    flags = ['--out-dir', root, *(['--overwrite'] if overwrite else []), *as_flags(synthetic)]
    # with the defaults and the generator's version: changing those changes the data too
    settings = json.dumps(settings_of([str(flag) for flag in flags]).manifest(), sort_keys=True)
    add('synthetic_data', 'generate synthetic nuScenes data',
        ['tools/data_converter/make_synthetic_nuscenes.py', *flags], [f'{version}/sample.json'], settings)  # fmt: skip
    add('create_data', 'collect annotations',
        ['tools/create_data.py', 'nuscenes', '--root-path', root, '--out-dir', root, '--extra-tag', 'nuscenes',
         '--version', version, *(['--gt-database'] if database else [])],
        ['nuscenes_infos_train.pkl', 'nuscenes_infos_val.pkl', *(['nuscenes_dbinfos_train.pkl'] if database else [])],
        f'{SCHEMA} {BOX_CONVENTION}')  # fmt: skip
    place = ['--root-path', root, '--version', version]
    if link_frames:
        add('prepare_4d', 'link previous camera frames',
            ['tools/data_converter/prepare_nuscenes_for_bevdet4d.py', *place],
            [f'nuscenes_infos_{split}_4d_interval3_max60.pkl' for split in ('train', 'val')])  # fmt: skip
    if synthetic.get('instance-masks'):
        add('virtual_points', 'make virtual points',
            ['tools/data_converter/create_virtual_points.py', *place, '--mask-format', 'rendered'],
            ['samples/LIDAR_TOP_VIRTUAL'], FORMAT)  # fmt: skip
    return steps
