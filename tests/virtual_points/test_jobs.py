"""Virtual points of a generated set: content, resuming, shards, processes, bad files, checks of existing files."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from helpers.devkit_infos import sample_info

from mmdet3d_plugin.datasets.infos.devkit_records import keyframes
from mmdet3d_plugin.datasets.virtual_point_files import read_virtual_file, virtual_path
from mmdet3d_plugin.structures.atomic_file import replace_when_done
from mmdet3d_plugin.virtual_points import jobs, validate
from mmdet3d_plugin.virtual_points.box_masks import distance_to_boxes
from mmdet3d_plugin.virtual_points.create import VirtualPointSettings
from mmdet3d_plugin.virtual_points.instance_masks import MaskFileError
from mmdet3d_plugin.virtual_points.rendered_masks import RenderedMaskReader

SETTINGS = VirtualPointSettings()


def create(nusc, tasks, workers=1, settings=SETTINGS, **options):
    reader = RenderedMaskReader(nusc.dataroot)
    return jobs.create_files(nusc, tasks, jobs.CreationJob(reader, settings, **options), workers)


def check(nusc, tasks, settings=SETTINGS, reader=True, **options):
    reader = RenderedMaskReader(nusc.dataroot) if reader else None
    return validate.validate_files(nusc, tasks, validate.ValidationJob(settings, reader, **options))


def some_tasks(nusc, count=6):
    return jobs.list_tasks(nusc, nusc.scene, 0.1)[:count]


def lidar_file(nusc, task):
    return Path(nusc.dataroot) / nusc.get('sample_data', task.lidar)['filename']


def digests(nusc):
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest()
            for path in Path(nusc.dataroot).rglob('LIDAR_TOP_VIRTUAL/*')}  # fmt: skip


def test_points_of_keyframes_lie_in_the_boxes_of_their_class(nusc):
    """Exact masks: painted points are real points, nearly all in a box of their class; so are the virtual ones."""
    painted, virtual = [], []
    for sample in keyframes(nusc, nusc.scene[0]):
        task = next(t for t in jobs.list_tasks(nusc, nusc.scene[:1], 0.1) if t.lidar == sample['data']['LIDAR_TOP'])
        create(nusc, [task])
        found = read_virtual_file(virtual_path(lidar_file(nusc, task)))
        info, _ = sample_info(nusc, sample, 0, lambda name: True)
        raw = np.fromfile(lidar_file(nusc, task), np.float32).reshape(-1, 5)
        assert {row.tobytes() for row in found.real_points[:, :4]} <= {row.tobytes() for row in raw[:, :4]}
        assert (found.real_points[:, -1] == 1).all() and (found.virtual_points[:, -1] == 1).all()
        painted += distances(found.real_points[:, :3], found.real_points[:, 4:14], info)
        virtual += distances(found.virtual_points[:, :3], found.virtual_points[:, 3:13], info)
    assert len(virtual) > 500 and len(virtual) % 50 == 0
    assert np.mean(np.array(painted) < 0.5) > 0.9
    assert np.mean(np.array(virtual) < 0.5) > 0.8


def distances(xyz, one_hot, info):
    """Distance of each point to the nearest box of its class."""
    from dualdistill_runtime.detection_classes import DETECTION_CLASSES

    result = []
    for point, label in zip(xyz, one_hot.argmax(axis=1)):
        boxes = info['gt_boxes'][info['gt_names'] == DETECTION_CLASSES[label]]
        result.append(distance_to_boxes(np.repeat(point[None], len(boxes), 0), boxes).min())
    return result


def test_processes_shards_and_order_do_not_change_the_files(nusc):
    tasks = some_tasks(nusc, 5)
    assert create(nusc, tasks).counts[jobs.WRITTEN] == 5
    first = digests(nusc)
    assert len(first) == 5
    create(nusc, tasks[::-1], workers=2, overwrite=True)
    assert digests(nusc) == first
    shards = [jobs.list_tasks(nusc, nusc.scene, 0.1, (number, 3)) for number in range(3)]
    assert sorted(task for shard in shards for task in shard) == sorted(jobs.list_tasks(nusc, nusc.scene, 0.1))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_up_to_date_files_are_skipped_and_others_replaced(nusc):
    tasks = some_tasks(nusc, 4)
    create(nusc, tasks)
    before = digests(nusc)
    assert create(nusc, tasks).counts[jobs.CURRENT] == 4
    damaged = virtual_path(lidar_file(nusc, tasks[0]))
    damaged.write_bytes(damaged.read_bytes()[:100])
    virtual_path(lidar_file(nusc, tasks[1])).unlink()
    tally = create(nusc, tasks)
    assert (tally.counts[jobs.WRITTEN], tally.counts[jobs.REPLACED_DAMAGED], tally.counts[jobs.CURRENT]) == (2, 1, 2)
    assert tally.names[jobs.REPLACED_DAMAGED] == [str(damaged)]
    assert digests(nusc) == before
    other = VirtualPointSettings(seed=1)
    assert create(nusc, tasks, settings=other).counts[jobs.REPLACED_OUTDATED] == 4
    assert not set(digests(nusc).values()) & set(before.values())


def test_changed_masks_make_a_file_outdated(nusc):
    (task,) = some_tasks(nusc, 1)
    create(nusc, [task])
    image = nusc.get('sample_data', task.cameras[0])['filename'].split('/')
    path = Path(nusc.dataroot) / 'instance_masks' / image[1] / image[2].replace('.jpg', '.npz')
    path.unlink()
    assert check(nusc, [task]).counts[validate.OUTDATED] == 1
    tally = create(nusc, [task])
    assert tally.counts[jobs.REPLACED_OUTDATED] == 1
    assert tally.counts[jobs.UNMASKED_IMAGES] == 1 and str(path) in tally.names[jobs.UNMASKED_IMAGES][0]


def test_published_files_are_kept(nusc):
    (task,) = some_tasks(nusc, 1)
    path = virtual_path(lidar_file(nusc, task))
    path.parent.mkdir()
    with open(path, 'wb') as stream:
        np.save(stream, dict(real_points=np.zeros((0, 15)), virtual_points=np.zeros((0, 14))))
    before = path.read_bytes()
    assert create(nusc, [task]).counts[jobs.PUBLISHED] == 1
    assert path.read_bytes() == before
    tally = check(nusc, [task])
    assert (tally.counts[validate.GOOD], tally.counts[validate.UNKNOWN_AGE]) == (1, 1)
    assert create(nusc, [task], overwrite=True).counts[jobs.WRITTEN] == 1
    assert path.read_bytes() != before


def test_bad_files_are_an_error_or_counted(nusc):
    tasks = some_tasks(nusc, 3)
    lidar_file(nusc, tasks[0]).write_bytes(b'x' * 30)
    with pytest.raises(ValueError, match=r'LIDAR_TOP.*\.pcd\.bin: 30 bytes'):
        create(nusc, tasks)
    lidar_file(nusc, tasks[1]).unlink()
    tally = create(nusc, tasks, skip_bad=True)
    assert (tally.counts[jobs.BAD_SWEEP], tally.counts[jobs.NO_LIDAR], tally.counts[jobs.WRITTEN]) == (1, 1, 1)
    assert '30 bytes' in tally.names[jobs.BAD_SWEEP][0]
    assert len(digests(nusc)) == 1


def test_bad_masks_are_an_error_or_counted(nusc):
    (task,) = some_tasks(nusc, 1)
    for path in (Path(nusc.dataroot) / 'instance_masks' / 'CAM_FRONT').iterdir():
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(MaskFileError, match='instance_masks/CAM_FRONT'):
        create(nusc, [task])
    assert create(nusc, [task], skip_bad=True).counts[jobs.BAD_SWEEP] == 1


def test_sweeps_without_masks_or_cameras_are_counted(nusc):
    tasks = some_tasks(nusc, 1)
    for folder in (Path(nusc.dataroot) / 'instance_masks').iterdir():
        for path in folder.iterdir():
            path.unlink()
    lonely = tasks[0]._replace(cameras=(), far_images=6)
    tally = create(nusc, [*tasks, lonely])
    assert (tally.counts[jobs.NO_MASKS], tally.counts[jobs.NO_CAMERAS]) == (1, 1)
    assert digests(nusc) == {}


def test_leftovers_of_a_killed_run_are_removed(nusc, capsys):
    tasks = some_tasks(nusc, 2)
    path = virtual_path(lidar_file(nusc, tasks[0]))
    path.parent.mkdir()
    with replace_when_done(path.with_name('other.bin.pkl.npy')) as living:
        left = path.with_name(living.name.replace('other.bin', lidar_file(nusc, tasks[0]).name))
        left.write_bytes(b'half')
        create(nusc, tasks[:1])
        assert not left.exists() and living.exists() and path.is_file()
    assert f'removed 1 unfinished file(s) of killed runs, 0.0 MB: {left}' in capsys.readouterr().out


def test_low_scores_are_left_out(nusc):
    (task,) = some_tasks(nusc, 1)
    tally = create(nusc, [task], settings=VirtualPointSettings(num_points=7, min_score=1.0))
    kept = tally.counts['instances'] - tally.counts['instances without a LiDAR point: no virtual points']
    assert tally.counts['virtual points'] == 7 * kept > 0
    with pytest.raises(ValueError, match='num_points'):
        VirtualPointSettings(num_points=0)


def test_validation_names_what_is_wrong(nusc):
    tasks = some_tasks(nusc, 5)
    create(nusc, tasks)
    assert check(nusc, tasks).counts == {validate.GOOD: 5}
    files = [virtual_path(lidar_file(nusc, task)) for task in tasks]
    files[0].unlink()
    files[1].write_bytes(b'not a file of points')
    files[2].write_bytes(files[3].read_bytes())
    tally = check(nusc, tasks)
    assert tally.counts == {
        validate.MISSING: 1, validate.DAMAGED: 1, validate.OTHER_SWEEP: 1, validate.GOOD: 2,
    }  # fmt: skip
    assert tally.names[validate.MISSING] == [str(files[0])] and tally.names[validate.OTHER_SWEEP] == [str(files[2])]
    assert check(nusc, tasks[3:], settings=VirtualPointSettings(seed=9)).counts == {validate.OUTDATED: 2}
    assert check(nusc, tasks[3:], settings=VirtualPointSettings(seed=9), reader=False).counts == {validate.GOOD: 2}
    assert check(nusc, tasks[3:], max_range=1.0).counts == {validate.FAR_AWAY: 2}
