"""Every config file builds: detector, optimizer, schedule and hooks, data sets; and its pipelines deliver samples."""

import logging
import runpy
from pathlib import Path

import pytest
from helpers.golden import point_numbers, queue_length
from helpers.nuscenes_batch import move_data, write_data_files
from helpers.toy_engine import ToyEngineDetector
from mmcv import Config
from mmcv.runner import EpochBasedRunner, build_optimizer, build_runner
from mmdet3d.datasets import build_dataset

from mmdet3d_plugin.audit.config_check import check_config

REPO = Path(__file__).resolve().parents[1]
CONFIGS = sorted(
    path.relative_to(REPO).as_posix() for path in (REPO / 'configs').rglob('*.py') if '_base_' not in path.parts
)

# An ablation changes the model alone: its data are those of the config it starts from.
ABLATIONS = [name for name in CONFIGS if '/ablation' in name]


@pytest.fixture(autouse=True)
def _at_repo_root(monkeypatch):
    monkeypatch.chdir(REPO)  # a teacher's config is named relative to it


@pytest.fixture(scope='module')
def data_files(virtual_nuscenes, tmp_path_factory):
    """Info files and object databases of the generated data set."""
    return write_data_files(virtual_nuscenes, tmp_path_factory.mktemp('data_files'))


def load(name):
    cfg = Config.fromfile(name)
    if 'teacher' in cfg.model:
        cfg.merge_from_dict({'model.teacher.checkpoint': None, 'model.teacher.allow_random_weights': True})
    return cfg


def test_there_are_configs():
    assert len(CONFIGS) >= 47


@pytest.mark.parametrize('name', CONFIGS)
def test_nothing_is_wrong_and_nothing_unread(name):
    """Detector, optimizer, schedule, hooks and pipelines build; no key is unknown; data and detector agree."""
    table, notes = check_config(name)
    assert table.startswith('level ') and 'parameters' in table
    assert all('checkpoint' in note or 'pretrained' in note for note in notes)


@pytest.mark.parametrize('name', CONFIGS)
def test_runner_stops_at_bad_losses_before_the_optimizer(name, tmp_path):
    cfg, model = load(name), ToyEngineDetector()
    optimizer = build_optimizer(model, cfg.optimizer)
    options = dict(model=model, optimizer=optimizer, work_dir=str(tmp_path), logger=logging.getLogger('configs'))
    runner = build_runner(cfg.runner, default_args=options)
    assert isinstance(runner, EpochBasedRunner)
    runner.register_optimizer_hook(cfg.optimizer_config)
    runner.register_custom_hooks(cfg.custom_hooks)
    order = [type(hook).__name__ for hook in runner.hooks]
    assert order.index('CheckFiniteLossHook') < order.index('OptimizerHook')
    assert order.index('OptimizerHook') < order.index('CheckGradientHook')
    assert 'EpochSeedHook' in order and 'TrainingSummaryHook' in order
    assert cfg.evaluation.metric == 'bbox' and cfg.workflow == [('train', 1)]


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
@pytest.mark.parametrize('name', [name for name in CONFIGS if name not in ABLATIONS])
def test_data_sets_build_and_deliver(name, split, virtual_nuscenes, data_files):
    cfg = load(name)
    move_data(cfg.data[split], virtual_nuscenes, *data_files)
    dataset = build_dataset(cfg.data[split], None if split == 'train' else dict(test_mode=True))
    classes = 1 if name.startswith('configs/history/') else 10
    assert len(dataset) > 0 and len(dataset.CLASSES) == classes
    if split == 'train':
        assert len(dataset.flag) == len(dataset)
    sample = dataset[0]
    keys = set(sample)
    distilled, camera = 'teacher' in cfg.model, cfg.model.type not in ('CenterPointBEV', 'LidarFormer')
    assert 'img_metas' in keys
    assert ('img' in keys) == camera
    assert ('points' in keys) == (not camera or (distilled and split == 'train'))
    assert ('gt_bboxes_3d' in keys) == (split == 'train')
    if 'points' in keys:
        teacher = Config.fromfile(cfg.model.teacher.config).model if distilled else cfg.model
        assert sample['points'].data.shape[1] == point_numbers(teacher)
    if queue_length(cfg):
        frames = queue_length(cfg) if split == 'train' else 1
        assert sample['img'].data.shape[:2] == (frames, 6) and sample['can_bus'].data.shape == (frames, 18)


@pytest.mark.parametrize('name', ABLATIONS)
def test_an_ablation_has_the_data_and_schedule_of_its_base(name):
    cfg, base = load(name), load(Path(name).parent / runpy.run_path(name)['_base_'])
    for key in ('data', 'optimizer', 'optimizer_config', 'lr_config', 'runner', 'evaluation', 'seed'):
        assert cfg[key] == base[key], key
