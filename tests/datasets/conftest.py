"""Fixtures of the data set tests: small nuScenes trees without sensor content, see ``nuscenes_tables.py``."""

import pytest
from nuscenes import NuScenes
from nuscenes_tables import Tables

from mmdet3d_plugin.datasets.infos.info_io import save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d
from mmdet3d_plugin.datasets.infos.splits import scenes_by_split

SCENES = {'scene-0061': 5, 'scene-0553': 13, 'scene-0103': 3}  # two of mini_train, one of mini_val


@pytest.fixture(scope='session')
def tables_root(tmp_path_factory):
    """Data root of three scenes; read-only, sensor chains run on from scene to scene."""
    return Tables(SCENES, link_scenes=True).write(tmp_path_factory.mktemp('nuscenes_tables'))


@pytest.fixture(scope='session')
def nusc(tables_root):
    return NuScenes('v1.0-mini', str(tables_root), verbose=False)


@pytest.fixture(scope='session')
def base_infos(nusc):
    """dict: split -> base infos."""
    by_split, _ = scenes_by_split(nusc)
    return {split: build_infos(nusc, scenes).infos for split, scenes in by_split.items()}


@pytest.fixture(scope='session')
def infos_4d(nusc, base_infos):
    """dict: split -> 4-D infos."""
    return {split: build_infos_4d(nusc, infos).infos for split, infos in base_infos.items()}


@pytest.fixture(scope='session')
def info_files(tmp_path_factory, base_infos, infos_4d):
    """dict: (split, kind) -> path of an info file."""
    folder, files = tmp_path_factory.mktemp('infos'), {}
    for kind, by_split in (('base', base_infos), ('4d', infos_4d)):
        for split, infos in by_split.items():
            files[split, kind] = str(folder / f'{split}_{kind}.pkl')
            save_infos(files[split, kind], infos, 'v1.0-mini', split, kind=kind)
    return files


@pytest.fixture
def save_base_infos():
    """Function: data root -> path of the base info file of its mini_train scenes."""

    def save(root):
        tables = NuScenes('v1.0-mini', str(root), verbose=False)
        path = str(root / 'nuscenes_infos_train.pkl')
        save_infos(path, build_infos(tables, scenes_by_split(tables)[0]['train']).infos, 'v1.0-mini', 'train')
        return path

    return save
