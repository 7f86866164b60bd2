"""What ``--auto-resume`` goes on from, and what it says about the files it passes over."""

import os

import pytest
import torch
from helpers import toy_engine

TWO = ['--cfg-options', 'runner.max_epochs=2']


@pytest.fixture
def trained(toy_config, train, tmp_path):
    """Work dir of a run of two epochs."""
    train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate', *TWO)
    return tmp_path / 'run'


@pytest.fixture
def resume(toy_config, train, trained, caplog):
    """Continue to the end of the third epoch; returns the epochs that were trained."""

    def resume(*words):
        caplog.clear()
        return sorted({epoch for epoch, _ in train(toy_config, '--work-dir', trained, '--auto-resume', *words)})

    return resume


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_cut_newest_checkpoint_is_passed_over(resume, trained, caplog):
    cut(trained / 'epoch_2.pth')
    assert resume() == [2, 3]
    assert 'epoch_2.pth is passed over, it is cut or damaged' in caplog.text
    assert f'resumed from {trained / "epoch_1.pth"}: epoch 1' in caplog.text


def test_foreign_files_are_passed_over(resume, trained, caplog):
    content = torch.load(trained / 'epoch_2.pth', weights_only=True)
    content['meta'].update(epoch=20, iter=60)
    torch.save(content, trained / 'teacher_epoch_20.pth')
    torch.save(content['state_dict'], trained / 'epoch_9.pth')
    (trained / 'resnet50-0676ba61.pth').write_bytes(b'not ours')
    (trained / 'latest.pth').unlink()
    assert resume() == [3]
    for name in ('teacher_epoch_20.pth is passed over, its name', 'resnet50-0676ba61.pth is passed over, its name',
                 'epoch_9.pth is passed over, no training run wrote it'):  # fmt: skip
        assert name in caplog.text


def test_the_order_is_by_iteration_not_by_name(resume, trained, caplog):
    (trained / 'latest.pth').unlink()
    os.rename(trained / 'epoch_1.pth', trained / 'epoch_7.pth')
    assert resume() == [3]
    assert f'resumed from {trained / "epoch_2.pth"}' in caplog.text


def test_a_run_that_was_taken_back_to_an_earlier_epoch_goes_on_from_there(toy_config, train, resume, trained, caplog):
    """``latest.pth`` names what was written last; the later epochs are of the run that was given up."""
    train(toy_config, '--work-dir', trained, '--resume-from', trained / 'epoch_1.pth', '--no-validate', *TWO)
    third = torch.load(trained / 'epoch_2.pth', weights_only=True)
    third['meta'].update(epoch=3, iter=9)
    torch.save(third, trained / 'epoch_3.pth')
    os.utime(trained / 'epoch_3.pth', (1, 1))
    assert resume() == [3]
    assert f'resumed from {trained / "epoch_2.pth"}' in caplog.text


def test_a_kill_before_the_link_is_moved_costs_nothing(resume, trained, caplog):
    (trained / 'latest.pth').unlink()
    (trained / 'latest.pth').symlink_to('epoch_1.pth')
    assert resume() == [3]
    assert f'resumed from {trained / "epoch_2.pth"}' in caplog.text


def test_a_link_to_a_deleted_file_is_no_obstacle(resume, trained):
    (trained / 'epoch_2.pth').unlink()
    assert resume() == [2, 3]


def test_a_finished_run_says_so_and_succeeds(resume, trained, caplog):
    before = {path: path.stat().st_mtime_ns for path in trained.glob('*.pth')}
    resume(*TWO)
    assert {path: path.stat().st_mtime_ns for path in trained.glob('*.pth')} == before
    assert 'already trained 2 epochs of 2, nothing to do' in caplog.text
    assert 'Start running' not in caplog.text


def test_a_cut_first_checkpoint_has_nothing_to_lose(resume, trained, caplog):
    (trained / 'epoch_2.pth').unlink()
    cut(trained / 'epoch_1.pth')
    assert resume(*TWO) == [1, 2]
    assert 'epoch_1.pth is passed over, it is cut or damaged' in caplog.text
    assert f'no checkpoint of this run in {trained}, starting from the beginning' in caplog.text
    assert os.readlink(trained / 'latest.pth') == 'epoch_2.pth'


def test_nothing_whole_is_an_error_that_says_what_to_delete(resume, trained):
    cut(trained / 'epoch_1.pth')
    (trained / 'epoch_2.pth').write_bytes(b'')
    with pytest.raises(ValueError, match=r'epoch_1.pth, epoch_2.pth cannot be read.*delete'):
        resume()


def test_checkpoints_without_optimizer_are_not_silently_trained_anew(resume, trained):
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        content = torch.load(trained / name, weights_only=True)
        del content['optimizer']
        torch.save(content, trained / name)
        os.utime(trained / name, (1e9, 1e9))  # as a copy may leave them, or a clock that ticks slowly
    with pytest.raises(ValueError, match=r'epoch_2.pth: it lacks optimizer.*load_from='):
        resume()


def test_checkpoints_in_a_folder_of_their_own_are_found(toy_config, train, tmp_path, caplog):
    options = [f'checkpoint_config.out_dir={tmp_path / "elsewhere"}', 'runner.max_epochs=1']
    train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate', '--cfg-options', *options)
    assert (tmp_path / 'elsewhere' / 'run' / 'epoch_1.pth').is_file()
    train(toy_config, '--work-dir', tmp_path / 'run', '--no-validate', '--auto-resume', '--cfg-options', *options)
    assert 'already trained 1 epochs of 1' in caplog.text


def test_the_best_checkpoint_of_another_folder_is_not_deleted(toy_config, train, tmp_path):
    """The hook messages of a checkpoint name the best one by its whole path."""
    toy_config.write_text(toy_config.read_text() + "data['val']['rated'] = True\n")
    train(toy_config, '--work-dir', tmp_path / 'first', *TWO)
    (best_one,) = (tmp_path / 'first').glob('best_*')  # of which epoch is up to torch's random numbers
    content = torch.load(tmp_path / 'first' / 'epoch_2.pth', weights_only=True)
    best = content['meta'].setdefault('hook_msgs', {})
    best.update(best_score=0.1, best_ckpt=str(best_one))
    torch.save(content, tmp_path / 'first' / 'epoch_2.pth')
    train(toy_config, '--work-dir', tmp_path / 'second', '--resume-from', tmp_path / 'first' / 'epoch_2.pth')
    assert best_one.is_file()
    assert [path.name for path in (tmp_path / 'second').glob('best_*')] == ['best_NDS_epoch_3.pth']


def test_weights_are_not_evaluated_as_those_of_the_next_epoch(resume, monkeypatch):
    """``evaluation.start`` did that whenever a run was resumed after the first evaluation."""
    scores = []

    def evaluate(dataset, results, **kwargs):
        scores.append([result['score'] for result in results])
        return dict(NDS=0.5)

    monkeypatch.setattr(toy_engine.ToyEngineDataset, 'evaluate', evaluate)
    assert resume('--cfg-options', 'evaluation.start=2') == [3]
    assert len(scores) == 1
