"""check_config: one clear line for each of many broken configs, notes, and the wiring table's values."""

import re
import subprocess
import sys

import pytest
from mmcv import Config

from mmdet3d_plugin.audit.config_check import check_config
from mmdet3d_plugin.audit.config_problem import ConfigProblem

TOY = 'configs/quickstart/dualdistill_toy.py'
LEVELS = 'model = dict(levels=dict('
HEAD = 'model = dict(student=dict(pts_bbox_head=dict('

# name -> (body of a config below the toy distillation, words of the one line)
BROKEN = {
    'syntax': ('model = dict(', 'config file: .*was never closed'),
    'misspelt_setting': ('optimzer = dict(lr=1)', r"broken\.py: nothing reads 'optimzer', did you mean 'optimizer'\?"),
    'late_variable': ("class_names = ['car']", "broken.py: nothing reads 'class_names': remove it, or use it"),
    'unknown_class': (
        LEVELS + "backbone1=dict(aligner=dict(_delete_=True, type='AOAligner'))))",
        'AOAligner is not in',
    ),
    'unknown_aligner_key': (
        LEVELS + 'backbone1=dict(aligner=dict(num_head=4))))',
        r"model\.levels\.backbone1\.aligner \(AOAAligner\): unknown key 'num_head', did you mean 'num_heads'\?",
    ),
    'swallowed_key': (
        HEAD + 'separate_head=dict(head_cnv=8))))',
        r"separate_head \(SeparateHead\): unknown key 'head_cnv', did you mean 'head_conv'\?",
    ),
    'unknown_key_of_unlabelled_samples': (
        'model = dict(unlabelled=dict(treshold=0.1))',
        r"unlabelled takes score_threshold, weight, .*, got \['treshold'\]",
    ),
    'pipeline_of_the_unlabelled_part': (
        "data = dict(train=dict(_delete_=True, type='LabelledAndUnlabelled', labelled={{_base_.data.train}}, "
        "unlabelled=dict(type='NuScenesBEVDataset', ann_file='a', data_root='a', pipeline=[dict(type='Nothing')])))",
        r'data.train.unlabelled.pipeline\[0\] \(Nothing\): .*Nothing is not in the pipeline registry',
    ),
    'unknown_level_part': (
        LEVELS + 'head=dict(los=dict(fp_weight=1))))',
        "'head' takes aligner and, if you like, loss",
    ),
    'unknown_level': (
        LEVELS + "backbone7=dict(aligner=dict(type='Conv1x1Aligner'))))",
        "'backbone7' is not a level of the student, which has backbone0, backbone1, backbone2, head",
    ),
    'heads_on_attention': (LEVELS + 'backbone1=dict(aligner=dict(num_heads=7))))', 'channels cannot have 7 heads'),
    'false_positives_on_coarse_level': (LEVELS + 'backbone1=dict(loss=dict(fp_weight=1))))', "level 'backbone1'.*head"),
    'response_without_head': (LEVELS + 'head=None))', "response needs a level 'head'"),
    'head_channels': (HEAD + 'in_channels=31)))', 'takes 31 channels but the BEV neck gives'),
    'class_order': (
        'names = [["car"], ["bus", "construction_vehicle"], ["truck", "trailer"], ["barrier"],'
        ' ["motorcycle", "bicycle"], ["pedestrian", "traffic_cone"]]\n'
        + HEAD
        + 'tasks=[dict(class_names=item) for item in names])))',
        r"student head has classes \['car', 'bus', .*, teacher head \['car', 'truck',",
    ),
    'teacher_config': ("model = dict(teacher=dict(config='configs/none.py'))", "config 'configs/none.py' not found"),
    'teacher_key': ('model = dict(teacher=dict(chekpoint=1))', "model: .*unexpected keyword argument 'chekpoint'"),
    'teacher_range': (
        "model = dict(teacher=dict(config='configs/centerpoint/centerpoint_pillar02_dynamic_cbgs_20e_nus.py', "
        "checkpoint='outputs/none/epoch_1.pth'))",
        'student covers .*teacher .*51.2',
    ),
    'section_nobody_reads': (
        'model = dict(student=dict(train_cfg=dict(img=dict(a=1))))',
        r"model: .*train_cfg.*unknown section 'img'",
    ),
    'loader_key': (
        'data = dict(sample_per_gpu=4)',
        "data: unknown key 'sample_per_gpu', did you mean 'samples_per_gpu'",
    ),
    'data_set_key': ('data = dict(val=dict(ann_fil=1))', r"data\.val \(NuScenesBEVDataset\): unknown key 'ann_fil'"),
    'data_set_argument': (
        "data = dict(val=dict(_delete_=True, type='NuScenesBEVDataset', data_root=''))",
        "data.val .*missing a required argument: 'ann_file'",
    ),
    'pipeline_key': (
        "data = dict(val=dict(pipeline=[dict(type='LoadMultiViewImages', decode=2)]))",
        r"data\.val\.pipeline\[0\] \(LoadMultiViewImages\): unknown key 'decode'",
    ),
    'pipeline_value': (
        "data = dict(val=dict(pipeline=[dict(type='PointsToDepthMap', depth_bounds=(5, 1, 1))]))",
        r'data\.val\.pipeline\[0\] \(PointsToDepthMap\): .*0 < min < max',
    ),
    'image_size': (
        "data = dict(test=dict(pipeline=[dict(type='AugmentMultiViewImages', final_dim=(64, 192))]))",
        r'data\.test: AugmentMultiViewImages has final_dim=\(64, 192\), the detector needs \(\d+, \d+\)',
    ),
    'pipeline_range': (
        "data = dict(val=dict(pipeline=[dict(type='PointsRangeFilter', point_cloud_range=[-50, -50, -5, 50, 50, 3])]))",
        r'data\.val: PointsRangeFilter keeps .*50.*the detector covers \(',
    ),
    'pipeline_result': (
        "data = dict(train=dict(pipeline=[dict(type='FormatBEVInputs', keys=['img', 'gt_depth', 'points'])]))",
        r"data\.train: .*the detector also needs \['gt_bboxes_3d', 'gt_labels_3d'\]",
    ),
    'points_for_nobody': (
        "data = dict(val=dict(pipeline=[dict(type='FormatBEVInputs', keys=['img', 'points'])]))",
        r'data\.val: the pipeline collects points that no detector reads',
    ),
    'data_classes': (
        "data = dict(val=dict(classes=['car', 'truck']))",
        r"data\.val: classes \['car', 'truck'\], but the head",
    ),
    'cache_key': (
        "model = dict(teacher=dict(cache=dict(folder='maps')))",
        "model.*unexpected keyword argument 'folder'",
    ),
    'optimizer_key': (
        'optimizer = dict(learning_rate=1)',
        r"optimizer \(AdamW\): unknown key 'learning_rate'; it takes .*, lr, ",
    ),
    'schedule_policy': ("lr_config = dict(_delete_=True, policy='Sine')", 'lr_config: .*SineLrUpdaterHook is not in'),
    'hook_key': (
        "custom_hooks = [dict(type='EpochSeedHook', seed=1)]",
        "custom_hooks.0. .EpochSeedHook.: unknown key 'seed'",
    ),
    'ema_key': (
        "ema_config = dict(type='ExpMomentumEMAHook', total_iters=5, priority=49)",
        "ema_config .ExpMomentumEMAHook.: unknown key 'total_iters', did you mean 'total_iter'",
    ),
    'ema_type': ("ema_config = dict(type='MeanHook')", 'ema_config: .*MeanHook is not in'),
    'checkpoint_key': (
        'checkpoint_config = dict(max_keep=1)',
        "checkpoint_config: unknown key 'max_keep', did you mean",
    ),
    'evaluation_key': ("evaluation = dict(metrics='bbox')", "evaluation: unknown key 'metrics', did you mean 'metric'"),
    'log_key': ('log_config = dict(every=5)', "log_config: unknown key 'every'"),
    'two_optimizer_hooks': (
        "fp16 = dict(loss_scale=1.0)\noptimizer_config = dict(type='GradientCumulativeOptimizerHook')",
        'fp16: not together with optimizer_config.type',
    ),
    'workflow': ("workflow = [('test', 1)]", r"workflow: \('test', 1\)"),
    'workflow_without_end': ("workflow = [('val', 1)]", r"workflow: .*only \[\('train', 1\)\] fits"),
    'workflow_of_two': ("workflow = [('train', 1), ('val', 1)]", r"workflow: .*only \[\('train', 1\)\] fits"),
    'no_optimizer_step': (
        'optimizer_config = None',
        'optimizer_config: missing: without it no weight ever changes; dict',
    ),
    'no_optimizer': ('optimizer = None', 'optimizer: missing'),
    'no_group': ("runner = 'EpochBasedRunner'", "runner: takes a group of settings, got 'EpochBasedRunner'"),
    'no_evaluation': ('evaluation = None', 'evaluation: missing: --no-validate trains without it'),
    'augmented_validation': (
        'data = dict(val=dict(test_mode=False))',
        'data.val.test_mode: False makes training',
    ),
    'no_samples': ('data = dict(samples_per_gpu=0)', 'data.samples_per_gpu: takes a whole number of at least 1, got 0'),
    'no_epochs': ('runner = dict(max_epochs=0)', 'runner.max_epochs: takes a whole number of at least 1, got 0'),
    'epochs_in_words': ("runner = dict(max_epochs='ten')", "runner.max_epochs: .*got 'ten'"),
    'no_checkpoint_interval': ('checkpoint_config = dict(interval=0)', 'checkpoint_config.interval: 0 is no interval'),
    'no_log_interval': ('log_config = dict(interval=0)', 'log_config.interval: takes a whole number of at least 1'),
    'no_evaluation_interval': ('evaluation = dict(interval=0)', 'evaluation.interval: takes a whole number'),
    'seed': ("seed = 'abc'", "seed: takes a whole number, got 'abc'"),
    'learning_rate': ("optimizer = dict(lr='1e-x')", "optimizer.lr: takes a number that is not negative, got '1e-x'"),
    'unknown_metric': ("evaluation = dict(metric='map')", "evaluation.metric: 'map' is none of bbox, mAP, NDS"),
    'unknown_score': ("evaluation = dict(save_best='nds')", "evaluation.save_best: .* no 'nds', did you mean 'NDS'"),
    'score_of_no_class': ("evaluation = dict(save_best='barrier_AVE', rule='less')", "returns no 'barrier_AVE'"),
    'worst_checkpoint': ("evaluation = dict(save_best='mATE')", "evaluation.rule: 'greater' would keep the worst mATE"),
    'folder_of_results': ('evaluation = dict(jsonfile_prefix=7)', 'evaluation jsonfile_prefix: .*a folder, got 7'),
    'evaluation_backend': ("evaluation = dict(backend='gpu')", "evaluation backend: 'gpu' is none of fast, devkit"),
    'wrapped_evaluation': (
        "inner = {{_base_.data.val}}\ndata = dict(val=dict(_delete_=True, type='SeededCBGSDataset', dataset=inner))",
        'data.val: SeededCBGSDataset repeats samples and has no evaluation',
    ),
}


@pytest.fixture(autouse=True)
def _at_repo_root(monkeypatch, repo_root):
    monkeypatch.chdir(repo_root)  # a teacher's config is named relative to it


def write_child(folder, repo_root, body, base=TOY):
    path = folder / 'broken.py'
    path.write_text(f"_base_ = '{repo_root / base}'\n{body}\n")
    return str(path)


@pytest.mark.parametrize('name', BROKEN)
def test_a_broken_config_fails_with_one_clear_line(name, tmp_path, repo_root):
    body, words = BROKEN[name]
    with pytest.raises(ConfigProblem, match=words) as error:
        check_config(write_child(tmp_path, repo_root, body))
    assert '\n' not in str(error.value) and len(str(error.value)) < 500


def test_a_cache_of_a_teacher_whose_points_never_come_back(repo_root):
    train = Config.fromfile(TOY).data.train.pipeline
    place = [step['type'] for step in train].index('GlobalBEVAug')
    options = {'model.teacher.cache.dir': 'maps'}
    check_config(TOY, options)
    with pytest.raises(
        ConfigProblem, match=r'data\.train: GlobalBEVAug with rot_range=.* changes the points at random'
    ):
        check_config(TOY, {**options, f'data.train.pipeline.{place}.rot_range': (-5.0, 5.0)})


def test_missing_files_are_named(tmp_path, repo_root):
    with pytest.raises(ConfigProblem, match=r'config file: .*nowhere\.py'):
        check_config('nowhere.py')
    with pytest.raises(ConfigProblem, match=r'config file: .*nothing_here\.py'):
        check_config(write_child(tmp_path, repo_root, '', base='configs/nothing_here.py'))


def test_a_misspelt_name_in_the_teachers_file_is_found(tmp_path, repo_root):
    teacher = tmp_path / 'teacher.py'
    teacher.write_text(f"_base_ = '{repo_root}/configs/quickstart/centerpoint_toy.py'\nmodle = dict()\n")
    with pytest.raises(ConfigProblem, match=r"teacher\.py: nothing reads 'modle', did you mean 'model'\?"):
        check_config(TOY, {'model.teacher.config': str(teacher)})


def test_overrides_are_checked_like_files():
    with pytest.raises(ConfigProblem, match=r"--cfg-options optimzer\.lr: nothing reads 'optimzer', did you mean"):
        check_config(TOY, {'optimzer.lr': 1e-3})
    with pytest.raises(ConfigProblem, match="unknown key 'temprature', did you mean 'temperature'"):
        check_config(TOY, {'model.response.temprature': 1.0})
    with pytest.raises(ConfigProblem, match="data_root changes nothing: .* already used its variable 'data_root'"):
        check_config(TOY, {'data_root': 'elsewhere/'})
    table, _ = check_config(TOY, {'model.levels.backbone2': None})
    assert re.search(r'backbone2 +\d+@\d+x\d+ +- ', table)


def test_absent_checkpoints_are_noted_not_fatal():
    _, notes = check_config(TOY, {'model.teacher.checkpoint': 'outputs/none/epoch_1.pth'})
    assert [note for note in notes if 'teacher checkpoint outputs/none/epoch_1.pth is not there' in note]


def test_a_present_checkpoint_that_does_not_fit_is_fatal(tmp_path):
    import torch

    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'pts_neck.weight': torch.ones(1)}), path)
    with pytest.raises(ConfigProblem, match=r"model: .*checkpoint '.*other\.pth' does not fit"):
        check_config(TOY, {'model.teacher.checkpoint': str(path)})


def test_command_line(repo_root, tmp_path):
    tool = [sys.executable, '-W', 'ignore', 'tools/analysis_tools/check_config.py']
    broken = write_child(tmp_path, repo_root, 'optimzer = dict(lr=1)')
    run = subprocess.run([*tool, broken], cwd=repo_root, capture_output=True, text=True)
    assert run.returncode == 1 and run.stdout == ''
    said = f"error: {broken}: nothing reads 'optimzer', did you mean 'optimizer'?"
    assert run.stderr.splitlines()[-1] == f'{said} (DUALDISTILL_TRACEBACK=1 shows where)'


def test_all_problems_are_listed_at_once(tmp_path, repo_root):
    body = """
optimzer = dict(lr=1)
evaluation = dict(metrics='bbox')
data = dict(val=dict(classes=['car', 'truck']))
model = dict(response=dict(temperature=-1.0))
optimizer = dict(learning_rate=1)
"""
    with pytest.raises(ConfigProblem) as error:
        check_config(write_child(tmp_path, repo_root, body))
    first, *lines = str(error.value).splitlines()
    assert first == f'{len(lines)} things are wrong:' and len(lines) == len(set(lines))
    for words in ("nothing reads 'optimzer'", "'metrics'", "'learning_rate'", 'temperature must be positive'):
        assert len([line for line in lines if words in line]) >= 1, words
