"""--cfg-options: what nothing reads or what changes nothing is refused, what a run reads passes."""

import re
import sys

import pytest
from mmcv import Config

from dualdistill_cli import ToolParser, add_cfg_options
from mmdet3d_plugin.audit.config_paths import few, nearest, places_of
from mmdet3d_plugin.audit.config_problem import ConfigProblem
from mmdet3d_plugin.audit.overrides import load_checked
from mmdet3d_plugin.audit.run_check import load_for_test, load_for_training

TOY = 'configs/quickstart/dualdistill_toy.py'
FULL = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

# override -> words of the one line, in the full-size distillation config
REFUSED = {
    'optimzer.lr=1': 'nothing reads .optimzer., did you mean optimizer.lr?',
    'optimzer_config.cumulative_iters=2': 'did you mean optimizer_config.cumulative_iters?',
    'lr=1': "nothing reads 'lr', did you mean optimizer.lr?",
    'samples_per_gpu=2': 'did you mean data.samples_per_gpu?',
    'max_epochs=2': 'did you mean runner.max_epochs?',
    'levels.backbone1.aligner.residual=1': 'did you mean model.levels.backbone1.aligner.residual?',
    'student.img_backbone.depth=18': 'did you mean model.student.img_backbone.depth?',
    'quux=2': "nothing reads 'quux': the settings are auto_resume, .*, workflow$",
    'data.sample_per_gpu=2': "data: unknown key 'sample_per_gpu', did you mean 'samples_per_gpu'",
    'data.train.ann_file=x': r"SeededCBGSDataset.*unknown key 'ann_file'.*did you mean data.train.dataset.ann_file?",
    'data.train.dataset.ann_fil=x': "unknown key 'ann_fil', did you mean 'ann_file'?",
    'model.studnt.img_backbone.depth=18': "unknown key 'studnt', did you mean 'student'?",
    'model.student.img_backbone.depht=18': r"\(ResNet\): unknown key 'depht', did you mean 'depth'?",
    'runner.max_epoch=3': r"runner \(EpochBasedRunner\): unknown key 'max_epoch', did you mean 'max_epochs'?",
    'lr_config.warmup_iter=3': r"\(StepLrUpdaterHook\): unknown key 'warmup_iter', did you mean 'warmup_iters'?",
    'optimizer_config.cumulative_iters=4': r"optimizer_config \(OptimizerHook\): unknown key 'cumulative_iters'",
    'custom_hooks.0.intervl=1': r"custom_hooks\[0\] \(EpochSeedHook\): unknown key 'intervl'; it takes nothing",
    'data.val.type=SeededCBGSDataset data.val.ann_file=x': r"SeededCBGSDataset.*'ann_file'; it takes dataset, seed$",
    'custom_hooks.99.interval=1': r"custom_hooks is a list of \d+, '99' is none of its indices 0 to",
    'optimizer.lr.x=1': 'optimizer.lr is 0.0002, no group of settings',
    'log_config.every=1': "log_config: unknown key 'every'; it takes hooks, interval$",
    'evaluation.by_epoch=False': "evaluation: unknown key 'by_epoch'",
    'evaluation.metrics=bbox': "evaluation: unknown key 'metrics', did you mean 'metric'?",
    'dist_params.bakend=gloo': "dist_params: unknown key 'bakend', did you mean 'backend'?",
}
# a variable that the file has used -> where its value stands now
USED_UP = {
    'data_root=x/': [
        f'data.{split}.{key}' for split in ('train.dataset', 'val', 'test') for key in ('data_root', 'ann_file')
    ],
    'class_names=[car]': ['data.train.dataset.classes', 'data.val.classes', 'data.test.classes'],
    'point_cloud_range=[0,0,0,1,1,1]': ['model.student.point_cloud_range', 'data.train.dataset.pipeline.'],
    'student_context=32': ['print_config.py'],
}
READ = [
    'fp16.loss_scale=dynamic',
    'optimizer_config.type=GradientCumulativeOptimizerHook optimizer_config.cumulative_iters=4',
    'evaluation.interval=3 evaluation.start=2 evaluation.gpu_collect=True evaluation.jsonfile_prefix=kept',
    'evaluation.backend=both dist_params.timeout=60',
    'data.samples_per_gpu=2 data.val.samples_per_gpu=4 data.test_dataloader.workers_per_gpu=0',
    'model.student.img_backbone.with_cp=True model.levels.backbone2=None log_config.hooks.0.interval=7',
    'lr_config.warmup=None runner.max_epochs=12 seed=None load_from=x.pth find_unused_parameters=True',
    'optimizer.paramwise_cfg.bypass_duplicate=True optimizer.betas=(0.9,0.95) data.train.seed=3',
    'model.student.test_cfg.pts.post_max_size=10 checkpoint_config.max_keep_ckpts=2 workflow=[(train,1)]',
    'data.train.dataset.data_root=x/ data.train.dataset.pipeline.2.final_dim=(128,352)',
]


@pytest.fixture(autouse=True)
def _at_repo_root(monkeypatch, repo_root):
    monkeypatch.chdir(repo_root)


def options(words):
    """``--cfg-options`` as the command line reads them."""
    parser = ToolParser()
    add_cfg_options(parser)
    return parser.parse_args(['--cfg-options', *words.split()]).cfg_options


@pytest.mark.parametrize('words', REFUSED)
def test_what_nothing_reads_is_refused(words):
    with pytest.raises(ConfigProblem, match=REFUSED[words]) as error:
        load_checked(FULL, options(words))
    assert str(error.value).startswith(f'--cfg-options {words.split()[-1].split("=")[0]}: ')
    assert '\n' not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize('words', USED_UP)
def test_used_up_variables_are_refused_and_their_places_named(words):
    name = words.split('=')[0]
    with pytest.raises(ConfigProblem, match=f'--cfg-options {name} changes nothing: .*already used') as error:
        load_checked(FULL, options(words))
    assert all(place in str(error.value) for place in USED_UP[words])
    assert '\n' not in str(error.value) and len(str(error.value)) < 600
    assert ('move_data_root.py' in str(error.value)) == (name == 'data_root')


def test_a_part_of_a_used_up_group_is_traced_as_well():
    with pytest.raises(ConfigProblem, match=r'val.ann_file changes .* \(data.val.ann_file, data.test.ann_file\)'):
        load_checked(TOY, {'val.ann_file': 'x.pkl'})
    with pytest.raises(ConfigProblem, match=r'stride .*\(model.student.img_view_transformer.stride\)'):
        load_checked(TOY, {'stride': 4})


@pytest.mark.parametrize('words', READ)
def test_what_a_run_reads_passes(words):
    cfg, notes = load_checked(FULL, options(words))
    assert notes == []
    key, _, value = words.split()[0].partition('=')
    for part in key.split('.'):
        cfg = cfg[int(part)] if part.isdigit() else cfg[part]
    assert str(cfg) == value or value.startswith('[')


def test_data_root_options_that_a_tool_prints_pass(repo_root):
    sys.path.insert(0, str(repo_root / 'tools'))
    from experiments.config_file import data_options

    for config in (TOY, FULL, 'configs/mvp/mvp_pillar02_dynamic_cbgs_20e_nus.py'):
        words = data_options(Config.fromfile(config), '/new')
        assert any(word.startswith('data.val.ann_file=/new/') for word in words)
        cfg, _ = load_checked(config, options(' '.join(words)))
        assert 'data/' not in str(cfg.data)


@pytest.mark.parametrize('name', ['docs/training.md', 'docs/reproduce.md', 'docs/method.md'])
def test_options_in_the_docs_are_read(name, repo_root):
    """Spans of key=value words in tables and text, as the distilled R50 takes them; some leave out ``model.``."""
    spans = re.findall(r'`(?:--cfg-options )?([a-z_]+(?:\.[\w<>]+)+=[^`(]*)`', (repo_root / name).read_text())
    assert spans
    for span in spans:
        words = span.replace('<level>', 'backbone1').replace('<n>', '2').replace('=N', '=2')
        words = re.sub(r'^levels', 'model.levels', words)
        if not words.startswith('key.subkey'):
            load_checked(FULL, options(words))


def test_unread_keys_of_the_file_itself_are_notes_of_training(tmp_path, repo_root):
    path = tmp_path / 'mine.py'
    path.write_text(
        f"_base_ = '{repo_root / TOY}'\noptimzer = dict(lr=1)\nclass_names = ['car']\n"
        "data = dict(sample_per_gpu=2)\nlog_config = dict(every=3)\nevaluation = dict(save_best='NDS')\n"
        "lr_config = dict(_delete_=True, policy='step', step=[2, 4, 6])\n"
        "custom_hooks = [dict(type='EMAHook'), dict(type='EMAHook')]\n"
    )
    _, folders, notes = load_for_training(str(path))
    assert folders == {'--work-dir': 'outputs/mine'}
    expected = [
        "nothing reads 'class_names'",
        "nothing reads 'optimzer', did you mean 'optimizer'?",
        "data: unknown key 'sample_per_gpu', did you mean 'samples_per_gpu'?",
        "log_config: unknown key 'every'; it takes hooks, interval",
        'lr_config.step: the rate never comes down at [4, 6], the run ends after 4 epoch(s)',
        'evaluation: first after epoch 100 of 4, so there is no best NDS checkpoint',
        'custom_hooks: EMAHook is there 2 times',
        'custom_hooks: without EpochSeedHook',
    ]
    assert len(notes) == len(expected)
    assert all(words in note for words, note in zip(expected, notes)), notes
    # an override that repairs a key of the file, or touches another one, is not blamed for the rest
    cfg, _, notes = load_for_training(str(path), {'log_config.interval': 5})
    assert cfg.log_config.interval == 5 and len(notes) == len(expected)


def test_configs_that_are_no_python_are_read_as_well(tmp_path):
    path = tmp_path / 'dumped.json'
    load_checked(TOY, {'workflow': None})[0].dump(str(path))
    path.write_text(path.read_text().replace('"workflow": null', '"workflow": []'))
    with pytest.raises(ConfigProblem, match='did you mean optimizer.lr?'):
        load_for_training(str(path), {'optimzer.lr': 0.5})
    with pytest.raises(ConfigProblem, match='workflow: .*only'):
        load_for_training(str(path))
    cfg, _, notes = load_for_training(str(path), {'optimizer.lr': 0.5, 'workflow': [('train', 1)]})
    assert cfg.optimizer.lr == 0.5 and notes == []


def test_no_validation_no_complaint_about_it():
    broken = {'evaluation.save_best': 'nds', 'evaluation.metric': 'map'}
    with pytest.raises(ConfigProblem, match='evaluation.metric'):
        load_for_training(TOY, broken)
    load_for_training(TOY, broken, validate=False)


# words after --eval-options -> (evaluate, format_only, words of the one line)
WRONG_REPORT = {
    'jsonfile_prefx=a': (True, False, "--eval-options: unknown key 'jsonfile_prefx', did you mean 'jsonfile_prefix'"),
    'jsonfile_prefix=7': (True, False, '--eval-options jsonfile_prefix: .*name of a folder, got 7'),
    'jsonfile_prefix=a,b': (True, False, r"jsonfile_prefix: .*got \['a', 'b'\]"),
    'jsonfile_prefix=None': (False, True, 'jsonfile_prefix: .*name of a folder, got None'),
    'metric=bbox': (True, False, 'the names after --eval are the metrics'),
    'logger=x': (True, False, "unknown key 'logger'; it takes backend, jsonfile_prefix"),
    'backend=gpu': (True, False, "--eval-options backend: 'gpu' is none of fast, devkit, both"),
    'backend=fast': (False, True, "unknown key 'backend'; it takes jsonfile_prefix"),
    'out_dir=x': (False, True, "unknown key 'out_dir'; it takes jsonfile_prefix"),
    'jsonfile_prefix=x': (False, False, 'nothing reads it without --eval or --format-only'),
}


@pytest.mark.parametrize('words', WRONG_REPORT)
def test_eval_options_are_checked_by_name_and_kind(words):
    evaluate, format_only, message = WRONG_REPORT[words]
    with pytest.raises(ConfigProblem, match=message):
        load_for_test(TOY, evaluate=evaluate, format_only=format_only, eval_options=options(words))


def test_folders_of_a_test_are_known_before_it(tmp_path):
    flags = dict(evaluate=True, format_only=False, eval_options=dict(jsonfile_prefix='kept'), out='a/b.pkl')
    _, folders = load_for_test(TOY, work_dir='w', **flags)
    assert folders['--work-dir'] == 'w' and folders['--eval-options jsonfile_prefix'] == 'kept'
    assert folders['--out'].endswith('/a') and len(folders) == 3
    _, folders = load_for_test(TOY, evaluate=False, format_only=True, eval_options={})
    assert folders == {'--eval-options jsonfile_prefix': 'outputs/results'}
    with pytest.raises(ConfigProblem, match='--out .*: this is a folder'):
        load_for_test(TOY, evaluate=False, format_only=False, eval_options={}, out=str(tmp_path))
    with pytest.raises(ConfigProblem, match='data.test_dataloader.samples_per_gpu: takes a whole number'):
        load_for_test(TOY, {'data.test_dataloader.samples_per_gpu': 0}, evaluate=True, format_only=False,
                      eval_options={})  # fmt: skip


def test_nearest_prefers_the_neighbourhood():
    node = dict(a=dict(b=dict(lr=1, size=2)), c=dict(lr=3), v=dict(size=4))
    roots = {'a', 'c'}
    assert nearest(('a', 'size'), node, roots) == 'a.b.size'
    assert nearest(('a', 'b', 'sice'), node, roots) == 'a.b.size'
    assert nearest(('size',), node, roots) == 'a.b.size'
    assert nearest(('zzz', 'yyy'), node, roots) == ''
    assert nearest(('a', 'b', 'size'), node, roots) == ''  # there already


def test_places_of_a_variable():
    node = dict(n=8, root='d/s/', data=dict(a='d/s/x.pkl', b='d/sets', stride=8, other=8), model=dict(box=(1, 2)))
    roots = {'data', 'model'}
    assert places_of('d/s/', 'root', node, roots) == ['data.a']
    assert places_of(8, 'stride', node, roots) == ['data.stride']
    assert places_of([1, 2], 'r', node, roots) == ['model.box']
    assert places_of(None, 'r', node, roots) == []
    assert few(list('abcdefgh')) == 'a, b, c, d, e, f and 2 more'
