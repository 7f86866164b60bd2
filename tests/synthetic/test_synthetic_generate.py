"""Writing a set: same bytes whatever the workers, whole or absent, skipped, refused or replaced."""

import fcntl
import hashlib
import json
import os

import pytest

from mmdet3d_plugin.synthetic import SyntheticConfig, generate
from mmdet3d_plugin.synthetic import config as synthetic_config
from mmdet3d_plugin.synthetic import generate as package_generate
from mmdet3d_plugin.synthetic.generate import MANIFEST
from mmdet3d_plugin.synthetic.rig import CAMERAS, LIDAR

SMALL = dict(
    scenes=2, keyframes=2, image_width=48, image_height=27, camera_sweep_hz=4, lidar_sweep_hz=4, lidar_beams=6,
    lidar_azimuth_steps=60, extent=25.0, objects=dict(car=2, pedestrian=2),
)  # fmt: skip


def digest(root):
    return {
        str(p.relative_to(root)): hashlib.md5(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob('*'))
        if p.is_file()
    }


def make(path, workers=1, overwrite=False, **changes):
    config = SyntheticConfig(**{**SMALL, **changes})
    return generate(path, config, workers=workers, overwrite=overwrite, progress=False)


def test_content_does_not_depend_on_workers(tmp_path):
    one = digest(make(tmp_path / 'one', workers=1, instance_masks=True))
    two = digest(make(tmp_path / 'two', workers=2, instance_masks=True))
    assert one == two
    assert sum(name.endswith('.npz') for name in one) == sum(name.endswith('.jpg') for name in one) == 2 * 3 * 6
    other = digest(make(tmp_path / 'three', seed=1))
    assert not {v for k, v in one.items() if k.endswith(('.jpg', '.bin'))} & set(other.values())


def test_same_settings_are_skipped_and_others_refused(tmp_path):
    root = make(tmp_path / 'set')
    extra = root / 'nuscenes_infos_train.pkl'
    extra.write_text('made from it')
    stamp = os.stat(root / 'v1.0-mini' / 'sample.json').st_mtime_ns
    make(tmp_path / 'set')
    assert os.stat(root / 'v1.0-mini' / 'sample.json').st_mtime_ns == stamp and extra.exists()
    with pytest.raises(FileExistsError, match='seed: 0 -> 5.*--overwrite'):
        make(tmp_path / 'set', seed=5)
    make(tmp_path / 'set', seed=5, overwrite=True)
    assert json.loads((root / MANIFEST).read_text())['settings']['seed'] == 5
    assert not extra.exists()
    assert [p.name for p in tmp_path.iterdir()] == ['set']


def test_old_masks_are_refused_and_trees_without_masks_stay_valid(tmp_path, monkeypatch):
    make(tmp_path / 'plain')
    make(tmp_path / 'masks', instance_masks=True)
    monkeypatch.setattr(synthetic_config, 'MASKS_VERSION', 99)
    make(tmp_path / 'plain')
    with pytest.raises(FileExistsError, match='masks_version: 2 -> 99.*--overwrite'):
        make(tmp_path / 'masks', instance_masks=True)


def test_cameras_are_chosen_and_recorded_and_trees_from_before_there_was_a_choice_stay_valid(tmp_path):
    plain = make(tmp_path / 'plain')
    assert 'cameras' not in json.loads((plain / MANIFEST).read_text())['settings']
    assert sorted(path.name for path in (plain / 'samples').iterdir()) == sorted([LIDAR, *CAMERAS])
    chosen = ['CAM_BACK', 'CAM_LEFT', 'CAM_RIGHT']
    other = make(tmp_path / 'other', cameras=chosen)
    assert json.loads((other / MANIFEST).read_text())['settings']['cameras'] == chosen
    make(tmp_path / 'other', cameras=chosen)
    for folder in ('samples', 'sweeps'):
        assert sorted(path.name for path in (other / folder).iterdir()) == [*chosen, LIDAR]
    sensors = json.loads((other / 'v1.0-mini' / 'sensor.json').read_text())
    assert [record['channel'] for record in sensors] == [LIDAR, *chosen]
    with pytest.raises(FileExistsError, match='cameras'):
        make(tmp_path / 'other')


@pytest.mark.parametrize('cameras', [[], ['CAM_TOP'], ['CAM_LEFT', 'CAM_LEFT']])
def test_wrong_cameras_are_named(cameras):
    with pytest.raises(ValueError, match=r'cameras=.*CAM_FRONT.*CAM_RIGHT.*each once'):
        SyntheticConfig(cameras=cameras)


def test_foreign_folders_are_never_touched(tmp_path):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'real' / 'samples').write_text('precious')
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match='did not make'):
            make(tmp_path / 'real', overwrite=overwrite)
    assert (tmp_path / 'real' / 'samples').read_text() == 'precious'
    (tmp_path / 'empty').mkdir()
    assert (make(tmp_path / 'empty') / MANIFEST).is_file()


def test_a_failed_run_leaves_nothing(tmp_path, monkeypatch):
    import mmdet3d_plugin.synthetic.tables as tables

    def fail(self, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(tables.TableBuilder, 'write', fail)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / 'set')
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_run_are_cleared(tmp_path):
    partial = tmp_path / '.set.partial'
    (partial / 'samples').mkdir(parents=True)
    (partial / 'samples' / 'half.jpg').write_text('')
    assert not (make(tmp_path / 'set') / 'samples' / 'half.jpg').exists()
    assert not partial.exists()


def test_two_runs_do_not_write_one_folder(tmp_path):
    partial = tmp_path / '.set.partial'
    partial.mkdir()
    handle = os.open(partial, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(RuntimeError, match='another run'):
            make(tmp_path / 'set')
    finally:
        os.close(handle)
    assert partial.is_dir()


def test_package_exports():
    assert package_generate is generate


def test_what_a_killed_run_with_other_settings_left_is_removed_when_there_is_nothing_to_do(tmp_path):
    make(tmp_path / 'set')
    for name in ('.set.partial', '.set.old'):
        (tmp_path / name / 'samples').mkdir(parents=True)
        (tmp_path / name / 'samples' / 'half.jpg').write_text('half')
    handle = os.open(tmp_path / '.set.partial', os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    make(tmp_path / 'set')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.set.old', '.set.partial', 'set']  # still running
    os.close(handle)
    make(tmp_path / 'set')
    assert [path.name for path in tmp_path.iterdir()] == ['set']
