"""Virtual points of a whole data set: skipping what is done, counting what is not, in one process or many."""

from dataclasses import dataclass
from pathlib import Path

from ..datasets.infos.cameras import CAMERAS
from ..datasets.infos.parallel import iterate_with_tables
from ..datasets.virtual_point_files.storage import VirtualFileError, read_virtual_file, virtual_path, write_virtual_file
from ..structures.atomic_file import remove_leftovers
from .create import VirtualPointSettings, gather_inputs, make_virtual_points
from .instance_masks import MaskFileError, MaskReader
from .sweeps import load_sweep, scene_tasks
from .tally import Tally

WRITTEN = 'sweeps written'
CURRENT = 'sweeps up to date'
PUBLISHED = 'sweeps with a file that was not made here, kept (--overwrite replaces them)'
REPLACED_OUTDATED = 'of these, outdated files replaced'
REPLACED_DAMAGED = 'of these, damaged files replaced'
NO_LIDAR = 'sweeps skipped: LiDAR file missing'
NO_CAMERAS = 'sweeps skipped: no camera image near in time'
NO_MASKS = 'sweeps skipped: no masks of any image'
BAD_SWEEP = 'sweeps skipped: damaged LiDAR or mask file'
FAR_IMAGES = 'images left out: too far from the sweep in time'
UNMASKED_IMAGES = 'images left out: no masks'
REPORT = (
    *(WRITTEN, REPLACED_OUTDATED, REPLACED_DAMAGED, CURRENT, PUBLISHED, NO_LIDAR, NO_CAMERAS, NO_MASKS, BAD_SWEEP),
    *(FAR_IMAGES, UNMASKED_IMAGES, 'instances', 'instances without a LiDAR point: no virtual points'),
    *('instances left out: low score', 'instances left out: of another class', 'instances left out: empty mask'),
    *('painted points', 'virtual points'),
)


@dataclass(frozen=True)
class CreationJob:
    """How files are made.

    Attributes:
        reader (MaskReader): Source of masks.
        settings (VirtualPointSettings): Settings of the points.
        skip_bad (bool): Count and skip a sweep with a damaged LiDAR or mask file instead of raising.
        overwrite (bool): Write every file, also those that are up to date or were not made here.
    """

    reader: MaskReader
    settings: VirtualPointSettings
    skip_bad: bool = False
    overwrite: bool = False


def list_tasks(nusc, scenes, max_gap, shard=(0, 1), cameras=CAMERAS):
    """Sweeps of scenes, or every ``shard[1]``-th of them starting with number ``shard[0]``.

    Returns:
        list[SweepTask]: In order of scenes and time.
    """
    tasks = [task for scene in scenes for task in scene_tasks(nusc, scene, max_gap, cameras)]
    return tasks[shard[0] :: shard[1]]


def clean_folders(nusc, tasks):
    """Delete what killed runs left unfinished in the folders of these sweeps, and print what was found."""
    sweeps = [Path(nusc.dataroot) / nusc.get('sample_data', task.lidar)['filename'] for task in tasks]
    for folder in sorted({virtual_path(sweep).parent for sweep in sweeps}):
        for line in remove_leftovers(folder).lines():
            print(line)


def create_files(nusc, tasks, job, workers=1):
    """Make the missing, outdated and damaged files of sweeps.

    Args:
        nusc (NuScenes): Tables.
        tasks (list[SweepTask]): Sweeps.
        job (CreationJob): How.
        workers (int): Processes; they do not change the content.

    Returns:
        Tally: Counts of the kinds in ``REPORT``.

    Raises:
        ValueError, MaskFileError: A damaged LiDAR or mask file, unless ``job.skip_bad``. Files written so far stay.
    """
    clean_folders(nusc, tasks)
    total = Tally()
    for tally in iterate_with_tables(_create_one, tasks, (nusc, job), workers):
        total.merge(tally)
    return total


def _create_one(shared, task):
    nusc, job = shared
    tally = Tally()
    sweep = load_sweep(nusc, task)
    tally.add(FAR_IMAGES, sweep.path, task.far_images)
    if not sweep.images:
        tally.add(NO_CAMERAS, sweep.path)
        return tally
    try:
        inputs = gather_inputs(sweep, nusc.dataroot, job.reader)
    except FileNotFoundError:
        tally.add(NO_LIDAR, sweep.path)
        return tally
    for message in inputs.missing:
        tally.add(UNMASKED_IMAGES, message)
    if len(inputs.missing) == len(sweep.images):
        tally.add(NO_MASKS, sweep.path)
        return tally
    path = virtual_path(Path(nusc.dataroot) / sweep.path)
    state = WRITTEN if job.overwrite else file_state(path, inputs.fingerprint(job.settings))
    if state in (CURRENT, PUBLISHED):
        tally.add(state)
        return tally
    made = Tally()
    try:
        points = make_virtual_points(inputs, job.reader, job.settings, made)
    except (MaskFileError, ValueError) as error:
        if not job.skip_bad:
            raise
        tally.add(BAD_SWEEP, error)
        return tally
    write_virtual_file(path, points)
    tally.merge(made)
    tally.add(WRITTEN)
    if state != WRITTEN:
        tally.add(state, path)
    return tally


def file_state(path, fingerprint):
    """What an existing file is worth: CURRENT, PUBLISHED, REPLACED_OUTDATED, REPLACED_DAMAGED, or WRITTEN for none."""
    try:
        found = read_virtual_file(path).fingerprint
    except FileNotFoundError:
        return WRITTEN
    except VirtualFileError:
        return REPLACED_DAMAGED
    if not found:
        return PUBLISHED
    return CURRENT if found == fingerprint else REPLACED_OUTDATED
