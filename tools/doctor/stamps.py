"""The stamp at the end of an info file or a ground-truth database, read without unpickling anything.

Both are pickles of two entries, of which ``metadata`` is the last. Its numbers and words stand in the pickle's last
bytes as they are, so a file of 400 MB answers at once, and nothing that a pickle may ask for is run. Behind the pickle
of an info file there may be an index (``datasets/infos/info_file.py``).
"""

import pickletools
import re
import struct
from pathlib import Path

_TAIL = 1 << 18  # bytes
# the word, and the dict that follows it, in protocols 4 and 3
_START = re.compile(rb'\x8c\x08metadata\x94}\x94|X\x08\0\0\0metadata}q.', re.S)
INDEX_END = struct.Struct('<Q16s')  # size of the index, and a mark
INDEX_MARK = b'DualDistillInfos'
_PLAIN = {
    'SHORT_BINUNICODE': None, 'BINUNICODE': None, 'BININT': None, 'BININT1': None, 'BININT2': None, 'LONG1': None,
    'BINFLOAT': None, 'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False,
}  # fmt: skip
_SILENT = ('MEMOIZE', 'BINPUT', 'LONG_BINPUT', 'MARK', 'FRAME')
_REFERENCES = ('BINGET', 'LONG_BINGET')


def read_stamp(path: Path) -> dict:
    """First plain entries of a file's ``metadata``.

    Args:
        path: Info file or infos of a ground-truth database.

    Returns:
        dict[str, str | int | float | bool | None]: Empty when there is no stamp.

    Raises:
        ValueError: The file is cut.
        OSError: It cannot be read.
    """
    with open(path, 'rb') as file:
        end = _end_of_pickle(file)
        file.seek(max(0, end - _TAIL))
        tail = file.read(min(end, _TAIL))
    if not tail.endswith(b'.'):  # the mark of a pickle's end
        raise ValueError('the file is cut')
    starts = list(_START.finditer(tail))
    return _read_entries(tail[starts[-1].end() :]) if starts else {}


def _end_of_pickle(file):
    size = file.seek(0, 2)
    if size < INDEX_END.size:
        return size
    file.seek(size - INDEX_END.size)
    length, mark = INDEX_END.unpack(file.read())
    return max(0, size - INDEX_END.size - length) if mark == INDEX_MARK else size


def _read_entries(data):
    """Words and numbers of a dict's entries, up to the first entry that is neither."""
    entries, waiting = {}, []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _SILENT:
                continue
            if opcode.name in _REFERENCES:
                waiting.append(_REFERENCES)  # to something before the stamp
            elif opcode.name in _PLAIN:
                waiting.append(argument if _PLAIN[opcode.name] is None else _PLAIN[opcode.name])
            else:
                break
            if len(waiting) == 2:
                key, value = waiting
                if isinstance(key, str) and value is not _REFERENCES:
                    entries[key] = value
                waiting = []
    except ValueError:  # the rest is no pickle; what came before it counts
        pass
    return entries
