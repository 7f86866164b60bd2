"""How a tool ends: an error that somebody foresaw is one line, any other keeps its traceback.

What counts is where an error was raised, not its type alone. A message written for the user comes from a ``raise`` of
this project, or from mmcv's readers of configs, which complain about what the user wrote; an ``OSError`` that names its
file says all there is to say. A ``ValueError`` out of torch or numpy, or one of ``int('x')`` in our own code, says
little without the way that led there.
"""

import contextlib
import os
import re
import select
import sys
import traceback
from pathlib import Path
from typing import Callable, Optional, Union

from .one_line_warnings import one_line_warnings
from .own_files import is_own, note_in_log_files

TRACEBACK = 'DUALDISTILL_TRACEBACK'
INTERRUPTED = 130
_CONFIG_READERS = tuple(os.path.join('mmcv', 'utils', name) for name in ('config.py', 'path.py', 'registry.py'))
# what a raise of ours says to a developer rather than to a user
_FOR_DEVELOPERS = (AssertionError, NotImplementedError)
# one frame of a traceback that another process sent as text, and its source line
_FRAME = re.compile(r'^ *File "(.+)", line \d+, in .+\n(.*)\n', re.M)


def run_tool(main: Callable[[], Optional[int]]) -> None:
    """Run a tool and end the process.

    The exit status is what ``main`` returns (None is 0), 1 after an error, 2 for wrong arguments, 130 after Ctrl-C.
    With ``DUALDISTILL_TRACEBACK=1`` every error keeps its traceback, and every warning the line that gave it.

    Args:
        main: The tool, which reads ``sys.argv``.

    Raises:
        SystemExit: With any status but 0.
    """
    shown = os.environ.get(TRACEBACK, '0') not in ('', '0')
    try:
        with contextlib.nullcontext() if shown else one_line_warnings():
            status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        if shown:
            raise
        print('\nerror: interrupted', file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        sys.exit('error: the output was closed before its end')
    except Exception as error:
        kept = shown or not is_foreseen(error)
        note_in_log_files(f'the run ended: {message(error)}', with_traceback=kept)
        if kept:
            raise
        sys.exit(f'error: {message(error)} ({TRACEBACK}=1 shows where)')
    if status:
        sys.exit(status)


def _nobody_reads():
    """bool: Whether stdout leads nowhere any more, as behind ``| head``; if so, what is left in it goes nowhere."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):  # replaced by something that is no file
        return False
    watch = select.poll()
    watch.register(output, 0)
    closed = any(event & select.POLLERR for _, event in watch.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return closed


def is_foreseen(error: BaseException) -> bool:
    """Whether an error's message was written for the user, see the head of this file."""
    if isinstance(error, OSError) and (error.filename is not None or isinstance(error, FileNotFoundError)):
        return True
    if isinstance(error, _FOR_DEVELOPERS):
        return False
    frames = _FRAME.findall(_sent(error))
    if not frames:
        frames = [(frame.filename, frame.line) for frame in traceback.extract_tb(error.__traceback__)]
    file, source = frames[-1]
    ours = is_own(file) or file.endswith(_CONFIG_READERS)
    return ours and source.strip().startswith('raise ')


def require_files(*paths: Union[str, Path]) -> None:
    """Name a file that is not there before anything heavy is imported; URLs are taken on trust.

    Raises:
        FileNotFoundError: The first of the paths that is not a file.
    """
    for path in paths:
        if '://' not in str(path) and not os.path.isfile(path):
            raise FileNotFoundError(f'no file {path}')


def message(error: BaseException) -> str:
    """An error's own text: without its worker's traceback, and the type's name where there is no text."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if text == _sent(error):
        text = text[[*_FRAME.finditer(text)][-1].end() :].partition(': ')[2]
    return text.strip() or type(error).__name__


def _sent(error):
    """The traceback, as text, of an error that was raised in a worker process and sent here; empty for others."""
    if type(error.__cause__).__name__ in ('RemoteTraceback', '_RemoteTraceback'):  # multiprocessing, concurrent.futures
        return str(error.__cause__)
    text = str(error)
    return text if text.startswith('Caught ') and _FRAME.search(text) else ''  # torch's data loader
