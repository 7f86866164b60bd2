"""Files that appear when complete, and what a run leaves that is killed while it writes one."""

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mmdet3d_plugin.structures.atomic_file import remove_leftovers, replace_when_done, scratch_folder

# Runs without the package, whose import takes seconds; a line on its standard output says that it is in the middle.
WRITER = """
import os, runpy, sys, time
module, kind, path, child = sys.argv[1:]
atomic_file = runpy.run_path(module)
if kind == 'file':
    context = atomic_file['replace_when_done'](path)
else:
    context = atomic_file['scratch_folder'](os.path.dirname(path), os.path.basename(path))
with context as temporary:
    (temporary if kind == 'file' else temporary / 'part').write_bytes(b'x' * 2_000_000)
    if child == 'child' and os.fork() == 0:
        sys.stdin.read()  # a worker that outlives its killed parent holds the lock until the test closes this
        os._exit(0)
    print('writing', flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(repo_root):
    """Function: (path, kind, child) -> process that is in the middle of writing ``path``."""
    started = []

    def start(path, kind='file', child=''):
        words = [
            sys.executable,
            '-c',
            WRITER,
            repo_root / 'mmdet3d_plugin' / 'structures' / 'atomic_file.py',
            kind,
            path,
            child,
        ]
        started.append(
            subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert started[-1].stdout.readline() == 'writing\n'
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def kill(process):
    process.kill()
    process.wait()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / 'x.json'
    path.write_text('old')
    with pytest.raises(RuntimeError), replace_when_done(path) as temporary:
        temporary.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'old'
    assert names(tmp_path) == ['x.json']


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / 'x.json'
    path.write_text('old')
    with pytest.raises(OSError, match=r"No space left on device: '.*/x\.json'"), replace_when_done(path) as temporary:
        temporary.write_text('half')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == 'old' and names(tmp_path) == ['x.json']


def test_files_get_the_permissions_of_ordinary_ones(tmp_path):
    (tmp_path / 'ordinary').touch()
    with replace_when_done(tmp_path / 'new') as temporary:
        temporary.write_text('content')
    assert (tmp_path / 'new').stat().st_mode == (tmp_path / 'ordinary').stat().st_mode


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_next_run_removes_what_a_killed_one_left_and_nothing_of_a_living_one(tmp_path, writer, kind):
    dead, living = writer(tmp_path / 'infos.pkl', kind), writer(tmp_path / 'infos.pkl', kind)
    before = names(tmp_path)
    assert len(before) == 2 and all(name.startswith('.infos.pkl.') for name in before)
    assert remove_leftovers(tmp_path).removed == []
    kill(dead)
    found = remove_leftovers(tmp_path)
    assert len(found.removed) == 1 and found.size == 2_000_000 and found.kept == []
    assert found.lines() == [f'removed 1 unfinished file(s) of killed runs, 2.0 MB: {found.removed[0]}']
    assert {found.removed[0].name, *names(tmp_path)} == set(before) and len(names(tmp_path)) == 1
    kill(living)


def test_writing_into_a_folder_cleans_it(tmp_path, writer):
    kill(writer(tmp_path / 'infos.pkl'))
    kill(writer(tmp_path / 'evaluation', 'folder'))
    with replace_when_done(tmp_path / 'other.pkl') as temporary:
        temporary.write_text('whole')
    assert names(tmp_path) == ['other.pkl']


def test_a_scratch_folder_cleans_its_parent(tmp_path, writer):
    kill(writer(tmp_path / 'evaluation', 'folder'))
    with scratch_folder(tmp_path, 'evaluation') as folder:
        (folder / 'results.json').write_text('{}')
        assert names(tmp_path) == [folder.name]
    assert names(tmp_path) == []


@pytest.mark.parametrize('kind, opened', [('folder', False), ('folder', True), ('file', True)])
def test_what_another_process_takes_for_a_leftover_before_its_lock_is_made_again(tmp_path, monkeypatch, kind, opened):
    taken, flock, mkdtemp = [], fcntl.flock, tempfile.mkdtemp

    def take(path):
        if not taken:
            taken.append(Path(path))
            os.rmdir(path) if kind == 'folder' else os.unlink(path)

    def lock(handle, flags):
        if opened:
            take(os.readlink(f'/proc/self/fd/{handle}'))
        flock(handle, flags)

    def make(**words):
        folder = mkdtemp(**words)
        if not opened:
            take(folder)
        return folder

    monkeypatch.setattr(fcntl, 'flock', lock)
    monkeypatch.setattr(tempfile, 'mkdtemp', make)
    handles = len(os.listdir('/proc/self/fd'))
    if kind == 'file':
        with replace_when_done(tmp_path / 'points.bin') as temporary:
            temporary.write_text('whole')
        assert (tmp_path / 'points.bin').read_text() == 'whole'
    else:
        with scratch_folder(tmp_path, 'evaluation') as folder:
            (folder / 'results.json').write_text('{}')
        assert names(tmp_path) == []
    assert len(taken) == 1 and len(os.listdir('/proc/self/fd')) <= handles


def test_workers_that_outlive_their_parent_keep_its_file_until_they_end(tmp_path, writer):
    process = writer(tmp_path / 'points.bin', child='child')
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert remove_leftovers(tmp_path).removed == []
    process.stdin.close()
    process.stdout.read()  # ends when the child does, too
    assert len(remove_leftovers(tmp_path).removed) == 1


def test_pattern_chooses_by_final_name(tmp_path, writer):
    for process in [writer(tmp_path / name) for name in ('epoch_3.pth', 'infos.pkl')]:
        kill(process)
    assert [path.name[:13] for path in remove_leftovers(tmp_path, 'epoch_*.pth').removed] == ['.epoch_3.pth.']
    assert len(names(tmp_path)) == 1


def rename_machine(path, host=None, boot=None):
    head, machine, rest = path.name.rsplit('.', 2)
    old_host, old_boot, process = machine.rsplit('-', 2)
    return path.rename(path.with_name(f'{head}.{host or old_host}-{boot or old_boot}-{process}.{rest}'))


def test_files_of_another_machine_are_listed_and_stay(tmp_path, writer):
    kill(writer(tmp_path / 'infos.pkl'))
    (path,) = tmp_path.iterdir()
    path = rename_machine(path, 'node17', 'deadbeef')
    found = remove_leftovers(tmp_path)
    assert found.removed == [] and found.kept == [path]
    (line,) = found.lines()
    assert line.endswith(f'delete them: {path}')
    with pytest.warns(RuntimeWarning, match='other machines'), replace_when_done(tmp_path / 'infos.pkl') as temporary:
        temporary.write_text('whole')
    assert path.exists()


@pytest.mark.parametrize('change', [dict(boot='deadbeef'), dict(host='f3a9c1d20b77')])
def test_restarted_machines_and_containers_with_new_names_are_this_machine(tmp_path, writer, change):
    kill(writer(tmp_path / 'infos.pkl'))
    (path,) = tmp_path.iterdir()
    path = rename_machine(path, **change)
    assert remove_leftovers(tmp_path).removed == [path]


def test_files_of_other_programs_stay(tmp_path):
    for name in ('.infos.pkl.1234.tmp', 'infos.pkl.tmp', '.infos.pkl.X3kq9z', '.x.host-deadbeef-12.tmp.bak'):
        (tmp_path / name).write_text('not ours')
    before = names(tmp_path)
    assert remove_leftovers(tmp_path).lines() == [] and names(tmp_path) == before
    assert remove_leftovers(tmp_path / 'no_such_folder').lines() == []
