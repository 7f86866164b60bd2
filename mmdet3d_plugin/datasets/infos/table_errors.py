"""What is wrong with the tables of a data root, said in one line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def problems_explained(root: str | Path, version: str) -> Iterator[None]:
    """Turn what reading damaged tables raises into one ValueError that says what is wrong and where.

    Args:
        root: Data root, the folder that holds the version folders.
        version: Version folder.
    """
    try:
        yield
        return
    except json.JSONDecodeError as error:
        reason = f'{_damaged(Path(root) / version)} is damaged ({error})'
    except (AssertionError, FileNotFoundError, ValueError) as error:
        reason = str(error)
    except IndexError:
        reason = 'map.json has no record, but must list every log'
    except KeyError as error:
        reason = f'the tables do not fit each other, nothing has the token or field {error}'
    raise ValueError(f'{root}: cannot read the tables of {version}: {reason}. What they must hold: docs/own_data.md')


def _damaged(folder):
    """str: Name of the first table that is no json."""
    for path in sorted(folder.glob('*.json')):
        try:
            json.loads(path.read_text())
        except ValueError:
            return path.name
    return 'a table'
