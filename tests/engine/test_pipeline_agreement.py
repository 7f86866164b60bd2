"""Pipelines that make other batches than the detector was built for: refused before training, evaluation and test."""

import pytest
from helpers import toy_engine
from helpers.bevformer import toy_bevformer_cfg
from helpers.distill_fakes import build
from mmdet3d.datasets import DATASETS

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines
from mmdet3d_plugin.engine.pipeline_agreement import check_pipelines, effective

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
CAMERAS = ['CAM_FRONT', 'CAM_BACK']


@DATASETS.register_module()
class PipelineOnPaper(toy_engine.ToyEngineDataset):
    """The toy data set with a pipeline that it does not run."""

    def __init__(self, pipeline=(), **kwargs):
        super().__init__(**kwargs)


@pytest.fixture(scope='module')
def models():
    """BEVFormers by what they were built for."""
    return {
        name: build(toy_bevformer_cfg(cameras=CAMERAS, **options))
        for name, options in dict(
            released={}, imagenet=dict(image_norm=IMAGENET), poses=dict(motion_source='poses')
        ).items()
    }


def dataset(cameras=CAMERAS, **options):
    pipelines = bevformer_pipelines(class_names=['car'], point_cloud_range=[0.0] * 6, cameras=cameras, **options)
    return dict(type='NuScenesBEVDataset', pipeline=pipelines[0])


def test_pipelines_that_agree_are_silent(models):
    check_pipelines(models['released'], dataset(), 'data.train')
    check_pipelines(models['imagenet'], dataset(image=IMAGENET), 'data.train')
    check_pipelines(models['poses'], dataset(motion=dict(motion_source='poses')), 'data.train')
    check_pipelines(models['poses'], None, 'data.train')
    check_pipelines(object(), dataset(), 'data.train')  # a detector with no such wishes


@pytest.mark.parametrize(
    'name, options, message',
    [
        ('imagenet', {}, r'NormalizePad has mean=\(103.53, .*\), the detector needs \(123.675, 116.28, 103.53\)'),
        ('released', dict(image=dict(to_rgb=True)), 'NormalizePad has to_rgb=True, the detector needs False'),
        ('poses', {}, 'LoadEgoMotion has motion_source=can, the detector needs poses'),
        ('released', dict(motion=dict(quaternion='w')), 'LoadEgoMotion has quaternion=w, the detector needs full'),
        ('released', dict(motion=dict(wrap_yaw=False)), 'LoadEgoMotion has wrap_yaw=False, the detector needs True'),
        ('released', dict(cameras=CAMERAS[::-1]), r"SelectKeyframeQueue has cameras=\['CAM_BACK', 'CAM_FRONT'\]"),
    ],
)
def test_the_error_names_step_argument_and_both_values(models, name, options, message):
    with pytest.raises(ValueError, match=rf'^data.test: {message}'):
        check_pipelines(models[name], dataset(**options), 'data.test')


def test_data_sets_inside_others_are_looked_at(models):
    good, bad = dataset(), dataset(image=dict(to_rgb=True))
    wrapped = {
        'data.train.dataset': dict(type='SeededCBGSDataset', dataset=bad),
        r'data.train.datasets\[1\]': dict(type='ConcatDataset', datasets=[good, bad]),
        r'data.train\[1\].dataset': [good, dict(type='RepeatDataset', times=2, dataset=bad)],
        'data.train.unlabelled': dict(
            type='LabelledAndUnlabelled', labelled=good, unlabelled=dict(pipeline=bad['pipeline'])
        ),
    }
    for place, cfg in wrapped.items():
        with pytest.raises(ValueError, match=f'^{place}: NormalizePad has to_rgb=True'):
            check_pipelines(models['released'], cfg, 'data.train')


def test_the_student_of_a_distiller_is_asked(models):
    class Distiller:
        student = models['imagenet']

    with pytest.raises(ValueError, match='NormalizePad has mean'):
        check_pipelines(Distiller(), dataset(), 'data.train')


def test_an_argument_that_is_not_written_has_its_default():
    step = dict(type='NormalizePad', scale=0.5)
    assert effective(step, 'scale') == 0.5 and effective(step, 'to_rgb') is False
    assert effective(step, 'colour') is None and effective(dict(type='NoSuchStep'), 'scale') is None


@pytest.fixture
def disagreeing(toy_config, monkeypatch):
    """Function: split -> config file whose data set of that split normalises in another way than the detector wants."""
    wanted = {('NormalizePad', 'to_rgb'): True}
    monkeypatch.setattr(toy_engine.ToyEngineDetector, 'pipeline_settings', lambda model: wanted, raising=False)

    def write(split):
        pipeline = "pipeline=[dict(type='NormalizePad')]"
        with open(toy_config, 'a') as file:
            file.write(f"\ndata['{split}'] = dict(type='PipelineOnPaper', length=3, {pipeline})\n")
        return toy_config

    return write


@pytest.mark.parametrize('split', ['train', 'val'])
def test_training_is_refused(disagreeing, train, tmp_path, split):
    with pytest.raises(ValueError, match=f'data.{split}: NormalizePad has to_rgb=False, the detector needs True'):
        train(disagreeing(split), '--work-dir', tmp_path / 'run')
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_a_test_is_refused(disagreeing, train, run_test_tool, tmp_path):
    config = disagreeing('test')
    train(config, '--work-dir', tmp_path / 'run', '--no-validate', '--cfg-options', 'runner.max_epochs=1')
    with pytest.raises(ValueError, match='data.test: NormalizePad has to_rgb=False, the detector needs True'):
        run_test_tool(config, tmp_path / 'run' / 'epoch_1.pth', '--eval', 'bbox', '--work-dir', tmp_path / 'eval')
