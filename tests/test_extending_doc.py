"""The files of docs/extending.md and README work as printed: built, trained a step, shown, refused by name."""

import importlib
import re
import sys
import warnings

import pytest
import torch
from helpers.batch import make_batch
from helpers.nuscenes_batch import load_tables, write_infos
from mmcv import Config
from mmdet3d.datasets import build_dataset
from mmdet3d.models import build_model

from mmdet3d_plugin.audit.wiring_table import wiring_table

FILES = [
    *('my_config', 'my_aligner', 'my_feature_loss', 'my_response_loss'),
    *('my_student', 'my_student_config', 'my_teacher', 'my_dataset'),
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory, repo_root):
    """Folder with the files of the page, importable; bases named from anywhere."""
    folder = tmp_path_factory.mktemp('extending')
    text = (repo_root / 'docs' / 'extending.md').read_text()
    blocks = re.findall(r'```python\n# (\w+)\.py\n(.*?)```', text, flags=re.DOTALL)
    assert [name for name, _ in blocks] == FILES
    for name, code in blocks:
        (folder / f'{name}.py').write_text(code.replace("['configs/", f"['{repo_root}/configs/"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.chdir(repo_root)  # a teacher's config is named relative to it
        yield folder
    for name in (*FILES, 'readme_aligner'):
        sys.modules.pop(name, None)


@pytest.fixture
def trained(folder):
    """Function: (config file, options) -> distiller and its losses on a batch, after a backward pass."""

    def build(name, **options):
        cfg = Config.fromfile(str(folder / f'{name}.py'))
        cfg.merge_from_dict({'model.teacher.checkpoint': None, 'model.teacher.allow_random_weights': True, **options})
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # random teacher
            model = build_model(cfg.model)
        model.set_iteration(1000)
        sizes = dict(image_size=tuple(cfg.final_dim), stride=cfg.stride, point_cloud_range=cfg.point_cloud_range)
        batch = make_batch(num_boxes=3, **sizes)
        losses = model.train().forward_train(**batch)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        assert all(torch.isfinite(value) for value in losses.values())
        return cfg, model, losses

    return build


def test_the_aligner_of_the_config_trains_and_is_shown(trained):
    cfg, model, _ = trained('my_config')
    aligner = model.distill['aligners']['backbone1']
    assert aligner.layers[0].out_channels == 96 and aligner.layers[0].weight.grad.abs().sum() > 0
    assert 'BottleneckAligner(width=96)' in wiring_table(model, cfg.model)
    with pytest.raises(TypeError, match='depth'):
        trained('my_config', **{'model.levels.backbone1.aligner.depth': 3})


def test_the_example_of_the_readme(trained, folder, repo_root):
    aligner, config = re.findall(r'```python\n(.*?)```', (repo_root / 'README.md').read_text(), flags=re.DOTALL)
    (folder / 'readme_aligner.py').write_text(aligner)
    config = config.replace("['configs/", f"['{repo_root}/configs/").replace("'my_aligner'", "'readme_aligner'")
    (folder / 'readme_config.py').write_text(config)
    _, model, _ = trained('readme_config')
    assert model.distill['aligners']['backbone1'].conv.weight.grad.abs().sum() > 0


def test_both_losses(trained):
    importlib.import_module('my_feature_loss')
    importlib.import_module('my_response_loss')
    cfg, model, losses = trained(
        'my_config',
        **{
            'model.levels.backbone1.loss': dict(_delete_=True, type='CosineLoss', loss_weight=2.0),
            'model.response': dict(_delete_=True, type='BoxesOfTheTeacher', level='head', score=0.05),
        },
    )
    assert 0 < losses['distill.backbone1.raw_cosine'] < 2
    torch.testing.assert_close(losses['distill.backbone1.loss_cosine'], 2 * losses['distill.backbone1.raw_cosine'])
    assert losses['crd.loss_boxes'] > 0 and losses['crd.num_boxes'] > 0 and not losses['crd.num_boxes'].requires_grad
    table = wiring_table(model, cfg.model)
    assert 'CosineLoss 2' in table and 'BoxesOfTheTeacher 1' in table


def test_the_student(trained):
    cfg, model, losses = trained('my_student_config')
    assert type(model.student).__name__ == 'MeanColourStudent'
    assert model.student.stem.weight.grad.abs().sum() > 0 and 'task0.loss_heatmap' in losses
    assert set(model.entries) == {'head'} and model.entries['head'].student == 'plane'
    model.student.load_state_dict(model.state_dict(), strict=True)  # what belongs to distillation is left aside


def test_the_teacher(trained):
    importlib.import_module('my_teacher')
    _, model, _ = trained(
        'my_config',
        **{
            'model.teacher.cfg_options': {'model.type': 'CanvasTeacher'},
            'model.levels.backbone1.teacher': 'canvas',
        },
    )
    canvas = model.teacher.bev_levels()['canvas']
    assert model.distill['aligners']['backbone1'].teacher == canvas
    bev = model.teacher.extract_bev(make_batch(point_cloud_range=(-19.2, -19.2, -5.0, 19.2, 19.2, 3.0)))
    assert tuple(bev.level('canvas').shape[1:]) == canvas.shape


def test_the_data_set(folder, tiny_nuscenes, tmp_path):
    importlib.import_module('my_dataset')
    options = dict(ann_file=write_infos(load_tables(tiny_nuscenes), tmp_path, 'base'), data_root=str(tiny_nuscenes))
    plain, without = (
        build_dataset(dict(type=name, pipeline=[], test_mode=True, **options))
        for name in ('NuScenesBEVDataset', 'WithoutSweeps')
    )
    index = max(range(len(plain)), key=lambda index: len(plain.get_data_info(index)['sweeps']))
    ours, theirs = without.get_data_info(index), plain.get_data_info(index)
    assert theirs['sweeps'] and ours['sweeps'] == [] and ours['pts_filename'] == theirs['pts_filename']
