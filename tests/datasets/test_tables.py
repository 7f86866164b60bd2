"""Tables that are missing, cut or do not fit each other are named in one line."""

import shutil

import pytest

from dualdistill_cli.endings import is_foreseen
from mmdet3d_plugin.datasets.infos.columns import TableColumns
from mmdet3d_plugin.datasets.infos.tables import load_tables


def load_columns(root, version):
    """All that the converters read."""
    tables = TableColumns(root, version)
    tables.frames(['LIDAR_TOP'])
    return tables, tables.annotations


@pytest.fixture
def root(tiny_nuscenes, tmp_path):
    """A data root of tables and maps alone, to be damaged."""
    for folder in ('v1.0-mini', 'maps'):
        shutil.copytree(tiny_nuscenes / folder, tmp_path / folder)
    return tmp_path


def test_whole_tables(root):
    assert len(load_tables(root, 'v1.0-mini').scene) == 3
    assert len(load_columns(root, 'v1.0-mini')[0].scene) == 3


@pytest.mark.parametrize('load', [load_tables, load_columns])
@pytest.mark.parametrize(
    'damage, words',
    [
        (lambda root: (root / 'v1.0-mini' / 'sample_data.json').write_text('[{"token'),
         r'sample_data\.json is damaged \(Unterminated'),
        (lambda root: (root / 'v1.0-mini' / 'log.json').unlink(), r'No such file .*log\.json'),
        (lambda root: (root / 'v1.0-mini' / 'map.json').write_text('[]'), 'map.json has no record'),
        (lambda root: (root / 'v1.0-mini' / 'sensor.json').write_text('[]'), 'the tables do not fit each other'),
        (lambda root: shutil.rmtree(root / 'maps'), 'map mask .* does not exist'),
        (lambda root: shutil.rmtree(root / 'v1.0-mini'), 'Database version not found'),
    ],
)  # fmt: skip
def test_damage_is_named_in_one_line(root, damage, words, load):
    damage(root)
    with pytest.raises(ValueError, match=f'cannot read the tables of v1.0-mini: .*{words}.*own_data.md') as error:
        load(root, 'v1.0-mini')
    assert is_foreseen(error.value) and '\n' not in str(error.value)
