"""Where the real car went: what stands still in one keyframe lies where the next one sees it.

Between the first four keyframes of scene-0103, 0.5 s apart, the car drives 4.2 m and turns right by 1 to 1.7 degrees.
Which keyframe comes when, and where its points lie, is taken from the devkit's records alone.
"""

import numpy as np
import pytest
from helpers import nuscenes_batch
from helpers.real_scene import keyframes_of, lidar_to_global, move, standing_points
from scipy.spatial import cKDTree

from mmdet3d_plugin.datasets.pipelines.global_bev_aug import bev_matrix

RIGHT, WRONG = 0.1, 0.3  # m: a match is below the first, a mistake above the second
QUEUE = dict(type='SelectKeyframeQueue', test_mode=True)
ADJACENT = dict(type='SelectAdjacentFrames', test_mode=True, num_previous=3, test_index=(0, 1, 2))
AUGMENTED = dict(rot_range=(30, 30), scale_range=(1.05, 1.05), flip_x_prob=1.0, flip_y_prob=0.0)
AUGMENTATIONS = {'as measured': dict(test_mode=True), 'turned, mirrored, scaled': AUGMENTED}


@pytest.fixture(scope='module')
def world(real_keyframes, tmp_path_factory):
    """(tables, info file in which every earlier frame is the keyframe before)."""
    nusc = nuscenes_batch.load_tables(real_keyframes)
    folder = tmp_path_factory.mktemp('infos')
    return nusc, nuscenes_batch.write_infos(nusc, folder, scenes=('scene-0103',), interval=1)


def seen(nusc, sample, reference, bev_aug, reach):
    """What stands still in a keyframe, in the augmented frame of the LiDAR where it was when ``reference`` fired."""
    to_reference = np.linalg.solve(lidar_to_global(nusc, sample, reference), lidar_to_global(nusc, sample))
    return move(bev_aug @ to_reference, standing_points(nusc, sample, reach))


def gap(points, target):
    """Median distance (m) in the plane; up and down, beams are 1.3 degrees apart, and so are the points of a wall."""
    return np.median(cKDTree(target[:, :2]).query(points[:, :2])[0])


@pytest.mark.parametrize('bev_aug', AUGMENTATIONS.values(), ids=AUGMENTATIONS)
@pytest.mark.parametrize('select, reference', [(QUEUE, 'LIDAR_TOP'), (ADJACENT, 'CAM_FRONT')], ids=['queue', 'camera'])
def test_the_world_stands_still(world, real_keyframes, select, reference, bev_aug):
    nusc, ann_file = world
    pipeline = [select, dict(type='GlobalBEVAug', **bev_aug)]
    sample = nuscenes_batch.build(real_keyframes, ann_file, pipeline, test_mode=True)[3]
    newest_first = keyframes_of(nusc)[3::-1]
    assert sample['sample_idx'] == newest_first[0]['token']
    expected = bev_matrix(np.radians(30), 1.05, True, False) if bev_aug is AUGMENTED else np.eye(4)
    np.testing.assert_allclose(sample['bev_aug'], expected)
    references = ['LIDAR_TOP', reference, reference, reference]  # the current frame's is always the LiDAR
    near, far = (
        [seen(nusc, *frame, expected, reach) for frame in zip(newest_first, references)] for reach in (16.0, 24.0)
    )
    frame2cur = sample['frame2cur']
    np.testing.assert_allclose(frame2cur[0], np.eye(4), atol=1e-9)
    for frame in range(3):
        step = np.linalg.solve(frame2cur[frame], frame2cur[frame + 1])
        assert gap(move(step, near[frame + 1]), far[frame]) < RIGHT
        assert gap(move(np.linalg.inv(step), near[frame + 1]), far[frame]) > WRONG
        assert gap(move(step, near[frame]), far[frame + 1]) > WRONG, 'the frames in the wrong order'
        assert gap(near[frame + 1], far[frame]) > WRONG, 'no motion'
