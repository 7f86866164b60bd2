"""Training data whose points never come back are refused for a teacher with a cache."""

from types import SimpleNamespace

import pytest

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines, lidar_pipelines
from mmdet3d_plugin.engine.cacheable import check_cacheable

RANGE = [-10.0, -10.0, -5.0, 10.0, 10.0, 3.0]
STILL = dict(rot_range=(0.0, 0.0), scale_range=[1, 1])


def distiller(cache=True):
    return SimpleNamespace(teacher=SimpleNamespace(cache=object() if cache else None))


def dataset(*steps, bev_aug=STILL):
    train, _ = camera_4d_pipelines(
        class_names=['car'], point_cloud_range=RANGE, final_dim=(64, 176), depth_bounds=(1.0, 25.0, 1.0),
        bev_aug=bev_aug, teacher_sweeps=2,
    )  # fmt: skip
    return dict(type='NuScenesBEVDataset', pipeline=[*train, *steps])


def test_flips_are_fine_and_so_is_anything_without_a_cache():
    check_cacheable(distiller(), dataset(bev_aug=dict(STILL, flip_x_prob=0.5, flip_y_prob=0.5)), 'data.train')
    check_cacheable(distiller(), dataset(dict(type='GlobalBEVAug', test_mode=True)), 'data.train')
    check_cacheable(distiller(cache=False), dataset(bev_aug=None), 'data.train')
    check_cacheable(SimpleNamespace(), dataset(bev_aug=None), 'data.train')


@pytest.mark.parametrize(
    'cfg, said',
    [
        (dataset(bev_aug=None), r'GlobalBEVAug with rot_range=\(-22.5, 22.5\), GlobalBEVAug with scale_range='),
        (dataset(bev_aug=dict(STILL, rot_range=(0, 1))), r'GlobalBEVAug with rot_range=\(0, 1\) changes'),
        (dataset(dict(type='PointShuffle')), 'PointShuffle changes the points at random'),
        (dataset(dict(type='ObjectSample', db_sampler={})), 'ObjectSample changes'),
        (dataset(dict(type='GlobalRotScaleTrans', **{'rot_range': [0, 0], 'scale_ratio_range': [1, 1]},
                      translation_std=[1, 0, 0])), 'GlobalRotScaleTrans with translation_std='),
        (dict(type='NuScenesBEVDataset', pipeline=lidar_pipelines(
            class_names=['car'], point_cloud_range=RANGE, num_sweeps=2, bev_aug=STILL)[0][:2]),
         'LoadLidarPointsFromMultiSweeps with test_mode=False'),
    ],
)  # fmt: skip
def test_the_step_is_named(cfg, said):
    with pytest.raises(ValueError, match=rf'^data.train.dataset: .*{said}.*model.teacher.cache'):
        check_cacheable(distiller(), dict(type='SeededCBGSDataset', dataset=cfg), 'data.train')
