"""Reading checkpoint files without running code in them, through our functions and through mmcv's; writing them."""

import threading

import numpy as np
import pytest
import torch
from helpers.harmful import RunsCode
from mmcv.runner import CheckpointLoader

from mmdet3d_plugin.checkpoints.files import load_content, read_checkpoint, trust_checkpoints, write_checkpoint

READERS = [load_content, read_checkpoint, CheckpointLoader.load_checkpoint]


@pytest.fixture
def harmful(tmp_path):
    """(checkpoint file, folder that appears when the code in it runs)."""
    path, folder = tmp_path / 'harmful.pth', tmp_path / 'ran'
    torch.save(dict(state_dict=dict(a=torch.ones(2)), meta=dict(epoch=RunsCode(folder))), path)
    return str(path), folder


@pytest.mark.parametrize('read', READERS)
def test_code_is_refused_with_the_reason_and_the_way_out(harmful, read):
    path, folder = harmful
    with pytest.raises(ValueError) as error:
        read(path)
    message = str(error.value)
    assert '\n' not in message and not folder.exists()
    for part in (path, 'names posix.mkdir', 'would run code', '--trust-checkpoint'):
        assert part in message


@pytest.mark.parametrize('read', READERS)
def test_code_runs_only_inside_the_block_that_trusts(harmful, read):
    path, folder = harmful
    with trust_checkpoints():
        read(path)
    assert folder.exists()
    with pytest.raises(ValueError, match='--trust-checkpoint'):
        read(path)
    with trust_checkpoints(False), pytest.raises(ValueError, match='--trust-checkpoint'):
        read(path)


def test_urls_are_held_to_the_same_rule(harmful, served, tmp_path):
    path, folder = harmful
    torch.save(dict(state_dict=dict(a=torch.ones(2))), tmp_path / 'plain.pth')
    assert CheckpointLoader.load_checkpoint(f'{served}/plain.pth')['state_dict']['a'].tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=r'harmful.pth.*posix.mkdir.*--trust-checkpoint'):
        CheckpointLoader.load_checkpoint(f'{served}/harmful.pth')
    assert not folder.exists()
    with trust_checkpoints():
        CheckpointLoader.load_checkpoint(f'{served}/harmful.pth')
    assert folder.exists()


@pytest.mark.parametrize('core', ['core', '_core'])
def test_numpy_numbers_of_both_numpy_layouts_are_plain(tmp_path, monkeypatch, core):
    scalar = np.float64(0).__reduce__()[0]
    monkeypatch.setattr(scalar, '__module__', f'numpy.{core}.multiarray', raising=False)
    path = str(tmp_path / 'numpy.pth')
    values = dict(score=np.float64(0.5), count=np.int64(3), half=np.float32(0.25))
    torch.save(dict(state_dict=dict(a=torch.ones(1)), meta=values), path)
    assert f'numpy.{core}.multiarray'.encode() in (tmp_path / 'numpy.pth').read_bytes()
    monkeypatch.undo()
    assert read_checkpoint(path)[1] == values
    assert CheckpointLoader.load_checkpoint(path, map_location='cpu')['meta'] == values


def test_a_damaged_file_is_no_matter_of_trust(tmp_path):
    path = tmp_path / 'damaged.pth'
    path.write_bytes(b'not a checkpoint')
    with pytest.raises(ValueError, match='cannot be read as plain weights') as error:
        load_content(str(path))
    assert '--trust-checkpoint' not in str(error.value) and '\n' not in str(error.value)
    with trust_checkpoints(), pytest.raises(ValueError, match='damaged.pth'):
        load_content(str(path))


@pytest.mark.parametrize('read', READERS)
def test_a_missing_file_is_named(read):
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        read('nowhere.pth')


def test_written_files_hold_weights_and_meta_alone_and_appear_when_complete(tmp_path):
    path = tmp_path / 'new' / 'out.pth'
    whole = torch.arange(1_000_000.0)
    write_checkpoint(path, dict(a=whole[:3].requires_grad_()), dict(epoch=1))
    state, meta = read_checkpoint(str(path))
    assert state['a'].tolist() == [0.0, 1.0, 2.0] and not state['a'].requires_grad and meta == dict(epoch=1)
    assert path.stat().st_size < 10_000  # without the million numbers that the view was cut from
    with pytest.raises(TypeError):
        write_checkpoint(path, dict(a=torch.ones(1)), dict(epoch=threading.Lock()))
    assert read_checkpoint(str(path))[0]['a'].shape == (3,)
    assert [file.name for file in path.parent.iterdir()] == ['out.pth']
