"""The command that writes a synthetic set."""

import pytest
from helpers.tools import load_tool

from mmdet3d_plugin.synthetic import SyntheticConfig
from mmdet3d_plugin.synthetic.rig import ALL_CAMERAS


@pytest.fixture(scope='module')
def tool():
    return load_tool('data_converter/make_synthetic_nuscenes.py')


SMALL = [
    *('--scenes', '2', '--keyframes', '1', '--image-size', '32', '18', '--lidar-beams', '4', '--workers', '1'),
    *('--lidar-azimuth-steps', '32', '--objects', 'car=1,truck=0,construction_vehicle=0,bus=0,trailer=0'),
]


def test_writes_skips_and_refuses(tool, tmp_path, capsys):
    out = str(tmp_path / 'set')
    tool.main(['--out-dir', out, *SMALL])
    assert (tmp_path / 'set' / 'v1.0-mini' / 'sample.json').is_file()
    tool.main(['--out-dir', out, *SMALL])
    assert 'already generated' in capsys.readouterr().out
    with pytest.raises(FileExistsError, match='--overwrite'):
        tool.main(['--out-dir', out, *SMALL, '--seed', '3'])
    with pytest.raises(ValueError, match='multiple of the keyframe rate'):
        tool.main(['--out-dir', out, *SMALL, '--lidar-sweep-hz', '7'])


def test_cameras_option(tool):
    assert (*tool.CAMERAS, *tool.MORE_CAMERAS) == ALL_CAMERAS
    assert tool.settings_of(['--out-dir', 'x', '--cameras', 'CAM_LEFT']).cameras == ('CAM_LEFT',)


def test_options_for_turns_and_can_bus(tool):
    settings = tool.settings_of(['--out-dir', 'x', '--ego-turn', '10', '40', '--can-bus', '0.5'])
    assert settings == SyntheticConfig(ego_turn=(10, 40), can_bus=0.5)


def test_objects_option(tool, capsys):
    assert SyntheticConfig() == tool.settings_of(['--out-dir', 'x'])
    counts = tool.parse_objects('car=1, bus=0')
    assert (counts['car'], counts['bus'], counts['barrier']) == (1, 0, 4)
    with pytest.raises(SystemExit):
        tool.parse_args(['--out-dir', 'x', '--objects', 'car'])
    assert 'CLASS=COUNT' in capsys.readouterr().err
