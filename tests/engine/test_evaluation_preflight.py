"""What stops a run is said before its first iteration, or before the inference: through the command-line tools."""

import pytest
from helpers import toy_engine

from dualdistill_cli import check_writable
from mmdet3d_plugin.audit.config_problem import ConfigProblem
from mmdet3d_plugin.engine.preflight import check_evaluation_data


@pytest.fixture
def file(tmp_path):
    """A file, below which no folder can be made, not even by root."""
    path = tmp_path / 'file'
    path.write_text('kept')
    return path


@pytest.fixture
def checkpoint(toy_config, train, tmp_path):
    train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate', '--cfg-options', 'runner.max_epochs=1')
    return tmp_path / 'run' / 'epoch_1.pth'


@pytest.mark.parametrize('words', ['optimzer.lr=1', 'class_name=car', 'data.sample_per_gpu=1', 'data.train.lenght=1'])
def test_overrides_that_nothing_reads_stop_training_and_testing(toy_config, train, run_test_tool, tmp_path, words):
    drawn, checkpoint = tmp_path / 'draws.txt', tmp_path / 'unread.pth'
    checkpoint.touch()
    name = words.split('=')[0]
    options = ['--cfg-options', words, f'data.train.log={drawn}', f'data.test.log={drawn}']
    with pytest.raises(ConfigProblem, match=f'--cfg-options {name}: '):
        train(toy_config, '--work-dir', tmp_path / 'run', *options)
    with pytest.raises(ConfigProblem, match=f'--cfg-options {name}: '):
        run_test_tool(toy_config, checkpoint, '--out', tmp_path / 'out.pkl', *options)
    assert not drawn.exists() and not (tmp_path / 'run').exists()


def test_a_used_up_variable_stops_training(toy_config, train, tmp_path):
    text = toy_config.read_text().replace('length=6', 'length=number')
    toy_config.write_text(f'number = 6\n{text}')
    with pytest.raises(ConfigProblem, match="number changes nothing: .*already used its variable 'number'"):
        train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', 'number=2')
    log = train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate', '--cfg-options', 'data.train.length=2')
    assert sorted(log) == [(epoch, 1) for epoch in (1, 2, 3)]


def test_unread_keys_of_the_file_are_one_warning(toy_config, train, tmp_path, caplog):
    toy_config.write_text(toy_config.read_text() + '\noptimzer = dict(lr=1)\nrunner = dict(max_epochs=2)\n')
    train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate')
    (record,) = [item for item in caplog.records if 'without effect' in item.getMessage()]
    lines = record.getMessage().splitlines()
    assert record.levelname == 'WARNING' and len(lines) == 3
    assert "nothing reads 'optimzer', did you mean 'optimizer'?" in lines[1] and 'lr_config.step' in lines[2]


@pytest.mark.parametrize(
    'words, message',
    [
        ('evaluation.metric=map', r"evaluation\.metric: 'map' is none of bbox"),
        ('evaluation.save_best=nds', r"evaluation\.save_best: .*did you mean 'NDS'"),
        ('evaluation.rule=less', r"evaluation\.rule: 'less' would keep the worst NDS"),
        ('evaluation.interval=0', r'evaluation\.interval: takes a whole number'),
        ('workflow=[(val,1)]', 'workflow: '),
    ],
)
def test_evaluation_settings_stop_training_before_it_starts(toy_config, train, tmp_path, monkeypatch, words, message):
    monkeypatch.setattr(toy_engine.ToyEngineDataset, 'METRICS', ('bbox',), raising=False)
    rules = staticmethod(lambda classes: dict(NDS='greater'))
    monkeypatch.setattr(toy_engine.ToyEngineDataset, 'score_rules', rules, raising=False)
    drawn = tmp_path / 'draws.txt'
    with pytest.raises(ConfigProblem, match=message):
        train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', words, f'data.train.log={drawn}')
    assert not drawn.exists()


@pytest.mark.parametrize('name', ['--work-dir', 'evaluation.jsonfile_prefix', 'evaluation.out_dir',
                                  'checkpoint_config.out_dir'])  # fmt: skip
def test_folders_that_cannot_be_written_stop_training(toy_config, train, tmp_path, file, name):
    drawn, folder = tmp_path / 'draws.txt', file / 'below'
    work_dir = folder if name == '--work-dir' else tmp_path / 'run'
    options = [] if name == '--work-dir' else [f'{name}={folder}']
    with pytest.raises(ValueError, match=rf'{name.split(".")[-1]} {folder}: cannot be written to .*{file} is a file'):
        train(toy_config, '--work-dir', work_dir, '--cfg-options', f'data.train.log={drawn}', *options)
    assert not drawn.exists() and file.read_text() == 'kept'


@pytest.mark.parametrize(
    'words, message',
    [
        (['--eval', 'bbox', '--eval-options', 'jsonfile_prefix={below}'], 'jsonfile_prefix .*cannot be written'),
        (['--format-only', '--eval-options', 'jsonfile_prefix={below}'], 'jsonfile_prefix .*cannot be written'),
        (['--out', '{below}.pkl'], '--out .*cannot be written'),
        (['--eval', 'bbox', '--work-dir', '{below}'], '--work-dir .*cannot be written'),
        (['--format-only', '--eval-options', 'prefix=x'], "unknown key 'prefix'; it takes jsonfile_prefix"),
        (['--out', 'x.pkl', '--eval-options', 'jsonfile_prefix=x'], 'nothing reads it without --eval'),
        (['--eval', 'bbox', '--eval-options', 'metric=mAP'], 'the names after --eval are the metrics'),
    ],
)
def test_what_a_test_cannot_report_is_said_before_the_inference(
    toy_config, checkpoint, run_test_tool, tmp_path, file, words, message
):
    drawn = tmp_path / 'draws.txt'
    words = [word.format(below=file / 'below' / 'deep') for word in words]
    with pytest.raises(ValueError, match=message):
        run_test_tool(toy_config, checkpoint, *words, '--cfg-options', f'data.test.log={drawn}')
    assert not drawn.exists() and not (tmp_path / 'x.pkl').exists()


def test_data_that_cannot_be_scored_stop_both(toy_config, checkpoint, train, run_test_tool, tmp_path, monkeypatch):
    def check_evaluation(dataset):
        raise FileNotFoundError('maps/one.png is missing')

    monkeypatch.setattr(toy_engine.ToyEngineDataset, 'check_evaluation', check_evaluation, raising=False)
    drawn = tmp_path / 'draws.txt'
    options = ['--cfg-options', f'data.train.log={drawn}', f'data.test.log={drawn}']
    with pytest.raises(FileNotFoundError, match='maps/one.png'):
        train(toy_config, '--work-dir', tmp_path / 'other', *options)
    with pytest.raises(FileNotFoundError, match='maps/one.png'):
        run_test_tool(toy_config, checkpoint, '--eval', 'bbox', '--work-dir', tmp_path, *options)
    assert not drawn.exists()
    run_test_tool(toy_config, checkpoint, '--out', tmp_path / 'out.pkl', *options)
    assert drawn.exists() and (tmp_path / 'out.pkl').is_file()


def test_options_of_many_processes_do_not_reach_the_evaluation_of_one(toy_config, train, tmp_path, monkeypatch):
    given = {}
    evaluate = toy_engine.ToyEngineDataset.evaluate

    def remember(dataset, results, **named):
        given.update(named)
        return evaluate(dataset, results)

    monkeypatch.setattr(toy_engine.ToyEngineDataset, 'evaluate', remember)
    options = ['evaluation.gpu_collect=True', 'evaluation.tmpdir=x', 'evaluation.broadcast_bn_buffer=False']
    train(toy_config, '--work-dir', tmp_path / 'run', '--cfg-options', 'runner.max_epochs=1', *options)
    assert set(given) == {'metric', 'logger'}


def test_a_test_set_is_not_scored_while_training(toy_config, train, tmp_path, monkeypatch):
    monkeypatch.setattr(toy_engine.ToyEngineDataset, 'version', 'v1.0-test', raising=False)
    with pytest.raises(ValueError, match='v1.0-test has no annotations'):
        train(toy_config, '--work-dir', tmp_path / 'run')
    check_evaluation_data(object())  # a data set that says nothing of itself is not in the way


def test_writable_folders_are_made_and_left_empty(tmp_path):
    check_writable({'--work-dir': str(tmp_path / 'a' / 'b'), '--out': str(tmp_path)})
    assert list((tmp_path / 'a' / 'b').iterdir()) == [] and list(tmp_path.iterdir()) == [tmp_path / 'a']


def test_a_folder_that_takes_no_file_is_named_with_the_reason(tmp_path, monkeypatch):
    def refuse(**options):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('dualdistill_cli.folders.tempfile.NamedTemporaryFile', refuse)
    with pytest.raises(ValueError, match=rf'--work-dir {tmp_path}: cannot be written to \(No space left on device\);'):
        check_writable({'--work-dir': str(tmp_path)})
