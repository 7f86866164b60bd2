"""CAN bus files: which message, and what is said of files that cannot serve."""

import json
import logging

import numpy as np
import pytest
from helpers.ego_scenes import START, write_can_bus

from dualdistill_runtime.can_bus import has_can_bus, motion_at
from mmdet3d_plugin.datasets.can_bus import report_can_bus

STAMP = round(START * 1e6)


@pytest.mark.parametrize('ms, message', [(-30, 0), (0, 0), (19.999, 0), (20, 1), (39, 1), (61, 3), (900, 3)])
def test_the_last_message_up_to_the_moment_is_taken(tmp_path, ms, message):
    write_can_bus(tmp_path, STAMP + 20_000 * np.arange(4))
    found = motion_at(str(tmp_path), 'scene-0061', START + ms / 1000)
    np.testing.assert_allclose(found, [message, 0, 9.8, 0, 0, message, -message, 0, 0], rtol=1e-6)


def test_the_file_of_another_scene_is_refused(tmp_path):
    path = write_can_bus(tmp_path, STAMP + 20_000 * np.arange(4))
    with pytest.raises(ValueError, match=f'{path.name}: its messages are of .*another scene'):
        motion_at(str(tmp_path), 'scene-0061', START + 60)


@pytest.mark.parametrize(
    'content',
    ['', '[]', '{}', '[{"utime": 1}]', '[1]', '<html>', 'ragged', 'nan'],
)
def test_damaged_files_are_named(tmp_path, content):
    path = write_can_bus(tmp_path, [STAMP, STAMP + 1])
    if content in ('ragged', 'nan'):
        messages = json.loads(path.read_text())
        messages[1]['vel'] = [1.0] if content == 'ragged' else [float('nan')] * 3
        content = json.dumps(messages)
    path.write_text(content)
    with pytest.raises(ValueError, match='scene-0061_pose.json: not a file of CAN bus poses.*can_bus.zip'):
        motion_at(str(tmp_path), 'scene-0061', START)


def test_what_is_missing_is_said_with_a_way_out(tmp_path):
    with pytest.raises(FileNotFoundError, match="can_bus: no such folder.*motion_source='poses'"):
        has_can_bus(str(tmp_path), 'scene-0061')
    with pytest.raises(ValueError, match="no scene_name.*create_data.py.*motion_source='poses'"):
        has_can_bus(str(tmp_path), None)
    write_can_bus(tmp_path, [STAMP])
    assert has_can_bus(str(tmp_path), 'scene-0061') and not has_can_bus(str(tmp_path), 'scene-0161')


def test_scenes_without_a_file_are_counted(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('mmdet3d'), 'propagate', True)
    write_can_bus(tmp_path, [STAMP])
    with caplog.at_level(logging.INFO):
        assert report_can_bus(['scene-0061', 'scene-0161', 'scene-0061'], str(tmp_path)) == (1, 2)
    assert '1 of 2 scenes have no CAN bus file, for example scene-0161' in caplog.text
