"""Two keys: the keyframe as the LiDAR measured it, and what a LiDAR model or teacher sees."""

import numpy as np
import pytest
import torch
from helpers import nuscenes_batch

from mmdet3d_plugin.datasets.lidar_file import read_lidar


@pytest.fixture(scope='module')
def infos(tiny_nuscenes, tmp_path_factory):
    return nuscenes_batch.write_infos(nuscenes_batch.load_tables(tiny_nuscenes), tmp_path_factory.mktemp('infos'))


@pytest.mark.parametrize('virtual_points', [False, True])
def test_no_step_changes_the_keyframe_as_measured(virtual_nuscenes, infos, virtual_points):
    pipeline = nuscenes_batch.distill_pipelines(teacher_virtual_points=virtual_points)[0]
    steps = pipeline[:-1]  # before the formatting step
    dataset = nuscenes_batch.build(virtual_nuscenes, infos, steps, filter_empty_gt=False)
    sample = dataset[3]
    measured = sample['lidar_points'].tensor
    np.testing.assert_array_equal(measured, read_lidar(sample['pts_filename']).reshape(-1, 5))
    assert not torch.equal(sample['points'].tensor[: len(measured), :3], measured[:, :3])


def test_the_depth_map_is_the_same_wherever_its_step_stands(tiny_nuscenes, infos):
    maps, pipeline = [], nuscenes_batch.distill_pipelines()[0]
    (depth,) = [step for step in pipeline if step['type'] == 'PointsToDepthMap']
    others = [step for step in pipeline if step is not depth]
    for steps in (pipeline, [*others[:-1], depth, others[-1]]):
        nuscenes_batch.seed_everything(5)
        maps.append(nuscenes_batch.build(tiny_nuscenes, infos, steps)[3]['gt_depth'].data)
    assert (maps[0] > 0).float().mean() > 0.1
    assert torch.equal(*maps)
