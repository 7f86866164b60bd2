"""The second family learns sixteen keyframes by heart: data, networks, matching, decoding and evaluation in one chain.

The curves in ``docs/experiments.md`` are of these runs::

    python -m pytest -m slow tests/engine/test_overfit_bevformer.py --basetemp outputs/overfit
    python tools/analysis_tools/plot_curves.py LidarFormer=outputs/overfit/lidarformer0 \
        BEVFormer=outputs/overfit/bevformer0 --out docs/images/overfit_bevformer.png
"""

import json

import pytest
from helpers.nuscenes_batch import load_tables, write_infos
from mmcv import Config

from mmdet3d_plugin.synthetic import SyntheticConfig, generate

PASSES = 12  # over the keyframes in what the runner calls an epoch: 48 iterations of four samples
OBJECTS = dict(car=4, truck=2, construction_vehicle=2, bus=2, trailer=2, barrier=3, motorcycle=3, bicycle=3,
               pedestrian=4, traffic_cone=3)  # fmt: skip


@pytest.fixture(scope='module')
def sixteen_keyframes(tmp_path_factory):
    """Data root and info file of four scenes of four keyframes in which the car turns."""
    config = SyntheticConfig(
        scenes=5, val_scenes=1, keyframes=4, image_width=240, image_height=135, extent=19.0, ego_speed=2.0,
        objects=OBJECTS, camera_sweep_hz=2, lidar_sweep_hz=10, lidar_azimuth_steps=540, lidar_max_range=40.0,
        ego_turn=(10, 40), can_bus=0.5,
    )  # fmt: skip
    root = generate(tmp_path_factory.mktemp('overfit') / 'nuscenes', config, workers=1, progress=False)
    tables = load_tables(root)
    training = [scene for scene in tables.scene if scene['name'] != 'scene-0103']  # the only one of mini_val
    tables.scene = training
    return root, write_infos(tables, tmp_path_factory.mktemp('infos'), 'base')


def overfit_config(name, root, infos, epochs, folder):
    """Config file of a toy that trains and evaluates on the same keyframes, without augmentation."""
    cfg = Config.fromfile(f'configs/quickstart/{name}.py')
    for split in ('train', 'val', 'test'):
        cfg.data[split].update(data_root=str(root), ann_file=str(infos))
    for step in cfg.data.train.pipeline:
        if step['type'] == 'GlobalBEVAug':
            step.update(flip_x_prob=0.0, flip_y_prob=0.0)
    cfg.data.train = dict(type='RepeatDataset', times=PASSES, dataset=cfg.data.train)
    cfg.merge_from_dict(dict(runner=dict(max_epochs=epochs), evaluation=dict(interval=1), log_config=dict(interval=12)))
    path = folder / f'{name}.py'
    cfg.dump(str(path))
    return path


@pytest.mark.slow
@pytest.mark.parametrize('name, epochs', [('lidarformer_toy', 5), ('bevformer_toy', 7)])
def test_sixteen_keyframes_are_learned_by_heart(
    name, epochs, sixteen_keyframes, train, repo_root, tmp_path_factory, monkeypatch
):
    monkeypatch.chdir(repo_root)
    work_dir = tmp_path_factory.mktemp(name[: -len('_toy')])
    config = overfit_config(name, *sixteen_keyframes, epochs, tmp_path_factory.mktemp('config'))
    train(config, '--work-dir', work_dir)
    (log,) = work_dir.glob('*.log.json')
    records = [json.loads(line) for line in log.read_text().splitlines()]
    scores = [record['mAP'] for record in records if record.get('mode') == 'val']
    assert len(scores) == epochs
    assert scores[-1] > 0.5, scores
