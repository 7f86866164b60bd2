"""Version folders and scene names of one's own."""

import json

import pytest
from nuscenes import NuScenes
from nuscenes_tables import Tables

from mmdet3d_plugin.datasets.infos.info_io import command_for
from mmdet3d_plugin.datasets.infos.splits import find_versions, scenes_by_split, split_names

SPLITS = {'train': ['drive-2', 'drive-1'], 'val': ['drive-3']}


@pytest.fixture(params=['v1.0-mine', 'v1.0-trainval'])
def own(request, tmp_path):
    """NuScenes of four scenes with names of their own, in a version folder of its own or an official one."""
    root = Tables({f'drive-{number}': 1 for number in range(1, 5)}, request.param, things=()).write(tmp_path)
    return NuScenes(request.param, str(root), verbose=False)


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def names_of(by_split):
    return {split: [scene['name'] for scene in scenes] for split, scenes in by_split.items()}


def test_a_split_file_places_the_scenes_in_order_of_time(own, tmp_path):
    by_split, unplaced = scenes_by_split(own, write(tmp_path / 'mine.json', SPLITS))
    assert names_of(by_split) == {'train': ['drive-1', 'drive-2'], 'val': ['drive-3']} and unplaced == ['drive-4']


def test_the_split_file_beside_the_tables_is_found(own, tmp_path):
    path = write(tmp_path / own.version / 'splits.json', dict(SPLITS, test=['drive-4'], night=['drive-1']))
    names, source = split_names(own)
    assert names == {'train': {'drive-1', 'drive-2'}, 'val': {'drive-3'}, 'test': {'drive-4'}}
    assert source == path.as_posix()
    other = write(tmp_path / 'other.json', {'val': ['drive-4']})
    assert split_names(own, other) == ({'val': {'drive-4'}}, str(other))


def test_official_splits_stay_where_the_file_has_other_names_or_is_not_there(own, tmp_path):
    for content in (None, {'night': ['drive-1']}):
        if content:
            write(tmp_path / own.version / 'splits.json', content)
        if own.version == 'v1.0-trainval':
            names, source = split_names(own)
            assert source == 'official' and {split: len(found) for split, found in names.items()} == dict(
                train=700, val=150
            )
        else:
            with pytest.raises(ValueError, match='no official splits|none of the splits'):
                split_names(own)


@pytest.mark.parametrize(
    'content, said',
    [
        ('{"train": ["drive-1"', 'not a json file'),
        ('["drive-1"]', 'expected {"train"'),
        ('{"train": "drive-1"}', 'expected {"train"'),
        ('{"train": [1]}', 'expected {"train"'),
        ('{"training": ["drive-1"]}', r"none of the splits train, val, test, only \['training'\]"),
        ('{"train": ["drive-1", "drive1"]}', r'1 scene.* not in the tables .*: drive1\. The tables have drive-1, '),
        ('{"train": ["drive-1"], "val": ["drive-2", "drive-1"]}', r'drive-1 stand\(s\) in train and in val'),
    ],
)
def test_wrong_split_files_are_named(own, tmp_path, content, said):
    path = tmp_path / 'mine.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=f'mine.json: .*{said}'):
        scenes_by_split(own, path)


@pytest.mark.parametrize('name, said', [('none.json', 'No such file'), ('', 'Is a directory')])
def test_a_split_file_that_cannot_be_read_is_named(own, tmp_path, name, said):
    path = tmp_path / name
    with pytest.raises(ValueError, match=f'{path}: cannot read this split file .{said}'):
        scenes_by_split(own, path)


def test_version_folders_of_any_name(tmp_path):
    def add(version):
        (tmp_path / version).mkdir()
        (tmp_path / version / 'sample.json').write_text('[]')

    add('mine')
    assert find_versions(tmp_path) == find_versions(tmp_path, 'mine') == ['mine']
    assert '--version mine' in command_for(tmp_path / 'nuscenes_infos_train.pkl')
    with pytest.raises(ValueError, match="'theirs'.*known: v1.0-trainval.*, mine"):
        find_versions(tmp_path, 'theirs')
    with pytest.raises(FileNotFoundError, match='v1.0-mini.*found mine'):
        find_versions(tmp_path, 'v1.0-mini')
    add('yours')
    with pytest.raises(FileNotFoundError, match='found mine, yours.*--version'):
        find_versions(tmp_path)
    add('v1.0-mini')
    assert find_versions(tmp_path) == ['v1.0-mini']  # official folders come first, as ever
