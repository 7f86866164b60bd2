"""Generate a whole data set: worlds, rendering in parallel, tables; all or nothing."""

import contextlib
import fcntl
import json
import multiprocessing
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import mmcv
import numpy as np

from .can_bus import has_can_bus, pose_messages, write_can_bus
from .config import SyntheticConfig
from .render import Task, render
from .rig import LIDAR
from .schedule import build_schedule
from .tables import TableBuilder, scene_names
from .world import build_world

MANIFEST = 'synthetic.json'


def generate(out_dir, config: SyntheticConfig, workers: int = None, overwrite: bool = False, progress: bool = True):
    """Write the data set of ``config`` to ``out_dir`` and return the path.

    The tree is built in a hidden folder beside ``out_dir`` and renamed when complete, so ``out_dir`` either does not
    exist or is whole. If it already holds the same settings nothing is done. ``workers`` processes (default: the
    number of cores) do not influence the content.

    Raises:
        FileExistsError: ``out_dir`` holds another configuration (``overwrite`` replaces it, with everything
            derived from it) or files this generator did not make (never replaced).
        ValueError: the objects do not fit into the world.
        RuntimeError: another run is writing the same folder.
    """
    out = Path(out_dir).absolute()
    partial = out.parent / f'.{out.name}.partial'
    if _is_done(out, config, overwrite):
        _remove_leftovers(partial, out_dir)
        if progress:
            print(f'{out_dir}: already generated with these settings')
        return Path(out_dir)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _partial_folder(partial, out_dir):
        _fill(partial, config, workers or os.cpu_count() or 1, progress)
        (partial / MANIFEST).write_text(json.dumps(config.manifest(), indent=2) + '\n')
        _publish(partial, out)
    return Path(out_dir)


def _is_done(out, config, overwrite):
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        found = json.loads((out / MANIFEST).read_text())
    except (OSError, ValueError):
        found = None
    wanted = config.manifest()
    if not isinstance(found, dict) or found.get('generator') != wanted['generator']:
        raise FileExistsError(f'{out} holds files this generator did not make; choose another --out-dir')
    if found == wanted:
        return True
    if overwrite:
        return False
    old, new = found.get('settings', {}), wanted['settings']
    changed = _differences(old, new) or _differences({**found, 'settings': 0}, {**wanted, 'settings': 0})
    raise FileExistsError(
        f'{out} was generated with other settings ({"; ".join(changed)}); give --overwrite to replace it and '
        'everything made from it, or choose another --out-dir'
    )


def _differences(old, new):
    return [f'{k}: {old.get(k)} -> {new.get(k)}' for k in sorted({*old, *new}) if old.get(k) != new.get(k)]


@contextlib.contextmanager
def _partial_folder(path, out_dir):
    """An empty, locked work folder; what a killed run left there is cleared, a running one is not disturbed."""
    path.mkdir(exist_ok=True)
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RuntimeError(f'another run is generating {out_dir}; wait for it to end') from error
        for entry in path.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        try:
            yield path
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
    finally:
        os.close(handle)


def _remove_leftovers(partial, out_dir):
    """Remove what a run with other settings left when it was killed; one that is still running is not disturbed."""
    old = partial.with_suffix('.old')
    if partial.exists() or old.exists():
        with contextlib.suppress(RuntimeError), _partial_folder(partial, out_dir):
            shutil.rmtree(partial)
            shutil.rmtree(old, ignore_errors=True)


def _publish(partial, out):
    old = partial.with_suffix('.old')
    if old.exists():
        shutil.rmtree(old)
    if out.exists():
        out.rename(old)
    partial.rename(out)
    if old.exists():
        shutil.rmtree(old)


def _fill(root, config, workers, progress):
    worlds = [build_world(config, i) for i in range(config.scenes)]
    schedules = [build_schedule(config, i) for i in range(config.scenes)]
    for channel in config.channels:
        for folder in ('samples', 'sweeps'):
            (root / folder / channel).mkdir(parents=True)
        if config.instance_masks and channel != LIDAR:
            (root / 'instance_masks' / channel).mkdir(parents=True)
    tasks = [
        Task(root, config, i, world, channel, schedules[i][channel])
        for i, world in enumerate(worlds)
        for channel in config.channels
    ]
    counts = {}
    for scene, channel, result in _run(tasks, workers, progress):
        counts[scene, channel] = result
    tables = TableBuilder(config)
    for i, name in enumerate(scene_names(config)):
        seen = {key: sum(counts[i, camera][key] for camera in config.cameras) for key in ('visible', 'amodal')}
        tables.add_scene(i, name, worlds[i], schedules[i], counts[i, LIDAR]['lidar_points'], **seen)
        if has_can_bus(config, i):
            write_can_bus(root, name, pose_messages(config, i, worlds[i]))
    tables.write(root / config.version)
    (root / 'maps').mkdir()
    if not cv2.imwrite(str(root / tables.map_file), np.full((256, 256), 255, dtype=np.uint8)):
        raise OSError(f'{root / tables.map_file}: the map mask could not be written')


def _run(tasks, workers, progress):
    """Results of ``render`` in any order, with a bar that counts recordings and tells the time left."""
    lengths = {(task.scene, task.channel): len(task.frames) for task in tasks}
    with contextlib.ExitStack() as stack:
        if progress:
            bar = mmcv.ProgressBar(sum(lengths.values()))
            stack.callback(print)  # the line of the bar ends
        if workers == 1:
            results = map(render, tasks)
        else:
            _compile(tasks)
            # Forked workers inherit the compiled kernels and the imported package, but not OpenCV's threads: a child
            # that finds a pool without threads waits for them for ever, so the pool is dissolved before forking.
            stack.callback(cv2.setNumThreads, cv2.getNumThreads())
            cv2.setNumThreads(0)
            context = multiprocessing.get_context('fork')
            results = stack.enter_context(context.Pool(min(workers, len(tasks)))).imap_unordered(render, tasks)
        for result in results:
            if progress:
                bar.update(lengths[result[:2]])
            yield result


def _compile(tasks):
    """Compile (or load from the cache) every kernel once, before forking, on one frame of each kind of sensor."""
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks[:2]:
            frame = task.frames[0]
            (Path(folder) / frame.filename).parent.mkdir(parents=True)
            config = replace(task.config, instance_masks=False)
            render(replace(task, root=Path(folder), config=config, frames=[frame]))
