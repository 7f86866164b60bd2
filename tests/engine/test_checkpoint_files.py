"""Checkpoint files are whole or absent, whatever happens while they are written."""

import errno
import os

import pytest
import torch
from mmcv.fileio.file_client import HardDiskBackend

from mmdet3d_plugin.engine import checkpoint_files
from mmdet3d_plugin.engine.checkpoint_files import point_latest, whole_file
from mmdet3d_plugin.structures.atomic_file import replace_when_done


@pytest.fixture
def full_disk(monkeypatch):
    """The disk takes half of any file whose name has this in it, then says that it is full."""

    def fill_up(part):
        def put(self, content, filepath):
            with open(filepath, 'wb') as file:
                if part not in str(filepath):
                    file.write(content)
                    return
                file.write(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(HardDiskBackend, 'put', put)

    return fill_up


@pytest.mark.parametrize('part, kept', [('epoch_1', []), ('best_', ['epoch_1.pth']), ('epoch_2', ['epoch_1.pth'])])
def test_a_full_disk_is_named_and_leaves_only_whole_files(toy_config, train, tmp_path, full_disk, part, kept):
    folder = tmp_path / 'run'
    full_disk(part)
    with pytest.raises(
        OSError, match=rf'cannot write checkpoint {folder}/{part}.*No space left.*{folder} has .* GB free'
    ):
        train(toy_config, '--work-dir', folder)
    assert sorted(path.name for path in folder.glob('epoch_*')) == kept
    assert not [path for path in folder.iterdir() if path.name.endswith('.tmp')]
    if kept:
        assert torch.load(folder / 'latest.pth', weights_only=True)['meta']['epoch'] == 1


def test_a_full_disk_is_no_obstacle_for_the_resumed_run(toy_config, train, tmp_path, full_disk):
    full_disk('epoch_2')
    with pytest.raises(OSError):
        train(toy_config, '--work-dir', tmp_path / 'run')
    full_disk('no such name')
    assert sorted({epoch for epoch, _ in train(toy_config, '--work-dir', tmp_path / 'run', '--auto-resume')}) == [2, 3]


def test_an_older_file_of_the_name_survives_a_failing_write(tmp_path):
    (tmp_path / 'a.pth').write_text('old')
    with pytest.raises(OSError, match='a.pth'), whole_file(tmp_path / 'a.pth') as temporary:
        temporary.write_text('ne')
        raise OSError(errno.EDQUOT, 'Disk quota exceeded')
    assert [path.name for path in tmp_path.iterdir()] == ['a.pth'] and (tmp_path / 'a.pth').read_text() == 'old'


def test_latest_is_a_copy_where_links_are_not_possible(tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, 'Operation not permitted')

    (tmp_path / 'epoch_1.pth').write_text('one')
    (tmp_path / 'epoch_2.pth').write_text('two')
    point_latest(tmp_path, 'epoch_1.pth')
    assert os.readlink(tmp_path / 'latest.pth') == 'epoch_1.pth'
    monkeypatch.setattr(checkpoint_files.os, 'symlink', no_links)
    point_latest(tmp_path, 'epoch_2.pth')
    assert not (tmp_path / 'latest.pth').is_symlink() and (tmp_path / 'latest.pth').read_text() == 'two'
    assert (tmp_path / 'epoch_1.pth').read_text() == 'one'


def test_the_next_run_removes_what_a_killed_one_left(toy_config, train, tmp_path):
    folder = tmp_path / 'run'
    child = os.fork()
    if child == 0:
        with replace_when_done(folder / 'epoch_1.pth') as temporary:
            temporary.write_bytes(b'half')
            os._exit(0)
    os.waitpid(child, 0)
    assert [path.read_bytes() for path in folder.iterdir()] == [b'half']
    train(toy_config, '--work-dir', folder, '--no-validate', '--auto-resume', '--cfg-options', 'runner.max_epochs=1')
    assert sorted(path.name for path in folder.glob('*pth*')) == ['epoch_1.pth', 'latest.pth']
