"""The layout of an info file: a pickle that any Python can load, in which each info can also be found by itself.

The pickle is ``dict(infos=[...], metadata={...})``. Each info stands in it packed, as the call
``pickle.loads(zlib.decompress(b'...'))``, which whoever loads the pickle carries out. Behind the pickle, where
``pickle.load`` never looks, there is an index: where each packed info begins, the metadata, and the columns of
``info_columns.py``. A data set reads the index and takes infos out as it needs them. So there is one file, under the
name that users know, and no second one beside it that could be out of date.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..packed_infos import PackedInfos
from .info_columns import InfoColumns

_TAIL = struct.Struct('<Q16s')  # size of the index, and a mark
_MARK = b'DualDistillInfos'
_SIZE = struct.Struct('<I')
# Pickle, protocol 3: the two functions go to the memo, where each info finds them; a dict and its list are opened.
_HEAD = b'\x80\x03cpickle\nloads\nq\x000czlib\ndecompress\nq\x010}X\x05\x00\x00\x00infos]'
_CALL, _CALLED = b'h\x00h\x01B', b'\x85R\x85Ra'  # both functions, bytes follow; call, call, append to the list
_METADATA, _END = b'sX\x08\x00\x00\x00metadata', b's.'


def write_info_file(stream: BinaryIO, infos: PackedInfos, metadata: dict) -> None:
    """Write an info file from its beginning to its end."""
    stream.write(_HEAD)
    begins = np.zeros(len(infos), dtype=np.int64)
    sizes = np.zeros(len(infos), dtype=np.int64)
    for index in range(len(infos)):
        chunk = infos.packed(index)
        stream.write(_CALL + _SIZE.pack(len(chunk)))
        begins[index], sizes[index] = stream.tell(), len(chunk)
        stream.write(chunk)
        stream.write(_CALLED)
    stream.write(_METADATA + pickle.dumps(metadata, protocol=3)[2:-1] + _END)  # without the protocol and the stop
    columns = infos.columns and asdict(infos.columns)
    content = pickle.dumps(dict(begins=begins, sizes=sizes, metadata=metadata, columns=columns), protocol=4)
    stream.write(content + _TAIL.pack(len(content), _MARK))


def open_info_file(path: str | Path) -> dict | None:
    """``infos`` (:class:`PackedInfos`) and ``metadata`` of an info file; None when it is a pickle without an index."""
    with open(path, 'rb') as stream:
        size = stream.seek(0, 2)
        if size < _TAIL.size:
            return None
        stream.seek(size - _TAIL.size)
        length, mark = _TAIL.unpack(stream.read())
        if mark != _MARK:
            return None
        stream.seek(size - _TAIL.size - length)
        index = pickle.loads(stream.read(length))
    columns = index['columns'] and InfoColumns(**index['columns'])
    return dict(infos=PackedInfos.in_file(path, index['begins'], index['sizes'], columns), metadata=index['metadata'])
