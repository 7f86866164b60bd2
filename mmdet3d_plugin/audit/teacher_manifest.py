"""Known teachers, ``configs/teachers.yml``: what fits which config, what it is worth, where it comes from."""

from dataclasses import dataclass, fields
from typing import Optional

import mmcv

MANIFEST = 'configs/teachers.yml'


@dataclass(frozen=True)
class TeacherEntry:
    """A teacher.

    Attributes:
        name: of the entry.
        config: config file that its weights fit.
        keys: top-level module -> number of keys in its state dict, without batch counters.
        weights: where users get the weights: an address, or the command that trains them.
        published: None, or ``mAP``, ``NDS`` (percent) and ``source``: numbers of others, not measured here.
        sha256: None, or the first characters of the file's hash.
        notes: anything else a user should know.
    """

    name: str
    config: str
    keys: dict
    weights: str
    published: Optional[dict] = None
    sha256: Optional[str] = None
    notes: str = ''

    def __str__(self):
        text = f'{self.name}: weights: {self.weights}'
        if self.published:
            text += '; published, not measured here: mAP {mAP:g}, NDS {NDS:g} ({source})'.format(**self.published)
        return text


def load_manifest(path=MANIFEST):
    """Read the manifest.

    Args:
        path (str): YAML file, a list of entries with the fields of :class:`TeacherEntry`.

    Returns:
        list[TeacherEntry]

    Raises:
        ValueError: names the entry and its missing or unknown field.
    """
    known = {field.name for field in fields(TeacherEntry)}
    entries = []
    for number, item in enumerate(mmcv.load(path)):
        name = item.get('name', f'entry {number}')
        unknown, missing = set(item) - known, {'name', 'config', 'keys', 'weights'} - set(item)
        if unknown or missing:
            raise ValueError(f'{path}: {name}: unknown fields {sorted(unknown)}, missing fields {sorted(missing)}')
        published = item.get('published')
        if published is not None and set(published) != {'mAP', 'NDS', 'source'}:
            raise ValueError(f'{path}: {name}: published needs mAP, NDS and source, got {sorted(published)}')
        entries.append(TeacherEntry(**item))
    return entries


def entries_of(config, path=MANIFEST):
    """Entries whose weights fit a config file."""
    return [entry for entry in load_manifest(path) if entry.config == config]
