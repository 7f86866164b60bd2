"""Tables that are missing or cut are named."""

import shutil

import pytest

from dualdistill_cli.endings import is_foreseen
from mmdet3d_plugin.datasets.infos.tables import load_tables


@pytest.fixture
def root(tiny_nuscenes, tmp_path):
    """A data root of tables and maps alone, to be damaged."""
    for folder in ('v1.0-mini', 'maps'):
        shutil.copytree(tiny_nuscenes / folder, tmp_path / folder)
    return tmp_path


def test_whole_tables(root):
    assert len(load_tables(root, 'v1.0-mini').scene) == 3


@pytest.mark.parametrize(
    'damage, kind, words',
    [
        (lambda root: (root / 'v1.0-mini' / 'sample_data.json').write_text('[{"token'), ValueError,
         r'v1\.0-mini/sample_data\.json: not a whole JSON file \(.*download it again'),
        (lambda root: (root / 'v1.0-mini' / 'log.json').unlink(), FileNotFoundError, r'log\.json'),
        (lambda root: shutil.rmtree(root / 'maps'), FileNotFoundError, 'map mask .* does not exist'),
        (lambda root: shutil.rmtree(root / 'v1.0-mini'), FileNotFoundError, 'not found.*give --root-path'),
    ],
)  # fmt: skip
def test_damage_is_named_in_one_line(root, damage, kind, words):
    damage(root)
    with pytest.raises(kind, match=words) as error:
        load_tables(root, 'v1.0-mini')
    assert is_foreseen(error.value) and '\n' not in str(error.value)
