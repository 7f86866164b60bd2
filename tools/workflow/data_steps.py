"""Steps that make a synthetic nuScenes data set and its info files."""

import json

from data_converter.make_synthetic_nuscenes import settings_of

from mmdet3d_plugin.datasets.infos.info_io import BOX_CONVENTION, SCHEMA
from mmdet3d_plugin.datasets.virtual_point_files.storage import FORMAT

from .commands import as_flags, command_step


def data_steps(root, synthetic, overwrite, database=False, prefix=''):
    """Steps from nothing to a data root that trainings can read.

    Markers and logs lie beside the data, as the generator replaces the whole folder, and not with the results, as
    several runs may share the data.

    Args:
        root (Path): Data root.
        synthetic (dict): Flags of the data generator, without dashes; ``version`` among them. With ``instance-masks``,
            virtual points are made from the masks.
        overwrite (bool): Replace a set made with other flags; never for a folder that the user pointed at.
        database (bool): Also collect the training objects for ground-truth sampling.
        prefix (str): Of the steps' names, where a workflow makes several sets.

    Returns:
        list[Step]: In running order; each comes after the one before.
    """
    version, home = synthetic['version'], root.parent / f'.{root.name}-made-by'
    words = ['--out-dir', root, *(['--overwrite'] if overwrite else []), *as_flags(synthetic)]
    make = command_step(
        f'{prefix}synthetic_data',
        'generate synthetic nuScenes data',
        ['tools/data_converter/make_synthetic_nuscenes.py', *words],
        home,
        # with the defaults and the generator's version: changing those changes the data too
        settings=json.dumps(settings_of([str(word) for word in words]).manifest(), sort_keys=True),
        outputs=(root / version / 'sample.json',),
    )
    create = command_step(
        f'{prefix}create_data',
        'collect annotations',
        ['tools/create_data.py', 'nuscenes', '--root-path', root, '--out-dir', root, '--extra-tag', 'nuscenes',
         '--version', version, *(['--gt-database'] if database else [])],
        home,
        settings=f'{SCHEMA} {BOX_CONVENTION}',
        outputs=(root / 'nuscenes_infos_train.pkl', root / 'nuscenes_infos_val.pkl',
                 *([root / 'nuscenes_dbinfos_train.pkl'] if database else [])),
        after=(make,),
    )  # fmt: skip
    prepare = command_step(
        f'{prefix}prepare_4d',
        'link previous camera frames',
        ['tools/data_converter/prepare_nuscenes_for_bevdet4d.py', '--root-path', root, '--version', version],
        home,
        outputs=tuple(root / f'nuscenes_infos_{split}_4d_interval3_max60.pkl' for split in ('train', 'val')),
        after=(create,),
    )
    steps = [make, create, prepare]
    if synthetic.get('instance-masks'):
        lift = command_step(
            f'{prefix}virtual_points',
            'make virtual points',
            ['tools/data_converter/create_virtual_points.py', '--root-path', root, '--version', version,
             '--mask-format', 'rendered'],
            home,
            settings=FORMAT,
            outputs=(root / 'samples' / 'LIDAR_TOP_VIRTUAL',),
            after=(prepare,),
        )  # fmt: skip
        steps.append(lift)
    return steps
