"""The looks that need torch, in a process of their own.

An answer is written as soon as it is there, a line of JSON for each look, so that a library that ends this process
takes no answer along but its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from . import checkpoint_files, gpu, imports, operators
from .line import Line, first_line

# section -> look; all but the first need what the first one imports
LOOKS = (
    ('environment', imports.look),
    ('GPU', gpu.look),
    ('operators', operators.look),
    ('checkpoints', checkpoint_files.look),
)
_LIMIT = 120  # s
# the folder above this package, then the arguments of main; nothing else comes before the installed packages
_START = 'import sys; sys.path[0] = sys.argv[1]; from doctor.child import main; main(*sys.argv[2:])'


def main(answers: str, root: str) -> None:
    """Write what each look finds; the others are left out when the imports fail.

    Args:
        answers: File to write.
        root: The repository.
    """
    sys.path.insert(0, root)
    os.chdir(root)
    with open(answers, 'w', encoding='utf-8') as file:
        for section, look in LOOKS:
            lines = attempt(section, look, Path(root))
            file.write(json.dumps([section, [asdict(line) for line in lines]]) + '\n')
            file.flush()
            if section == 'environment' and any(line.verdict == 'fatal' for line in lines):
                return


def attempt(section: str, look, root: Path) -> list:
    """list[Line]: What a look finds, or that it failed."""
    try:
        return look(root)
    except (Exception, SystemExit) as error:
        return [Line(section, 'wrong', f'could not be looked at: {first_line(error)}')]


def look_in_child(root: Path) -> dict:
    """Run the looks in another process.

    Args:
        root: The repository.

    Returns:
        dict[str, list[Line]]: Section -> lines.
    """
    environment = dict(os.environ, PYTHONWARNINGS='ignore')
    with tempfile.TemporaryDirectory(prefix='dualdistill_doctor') as folder:
        answers = Path(folder) / 'answers'
        command = [sys.executable, '-c', _START, str(Path(__file__).resolve().parents[1]), str(answers), str(root)]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LIMIT)
            end = _end(done)
        except subprocess.TimeoutExpired:
            end = f'did not end within {_LIMIT} s'
        text = answers.read_text(encoding='utf-8') if answers.exists() else ''
    found = {section: [Line(**line) for line in lines] for section, lines in map(json.loads, _whole_lines(text))}
    if end:
        missing = next((section for section, _ in LOOKS if section not in found), LOOKS[-1][0])
        what = 'importing the libraries' if missing == 'environment' else f'looking at {missing}'
        found.setdefault(missing, []).append(Line(what, 'fatal', f'{end}. Run bash scripts/setup.sh'))
    return found


def _whole_lines(text):
    """Lines that were written to their end."""
    return [line[:-1] for line in text.splitlines(keepends=True) if line.endswith('\n')]


def _end(done):
    """How a process ended, in words; empty when all is well."""
    if done.returncode == 0:
        return ''
    last = (done.stderr.strip().splitlines() or ['no message'])[-1]
    if done.returncode < 0:
        return f'the process was ended by signal {-done.returncode} ({last})'
    return f'the process ended with status {done.returncode} ({last})'
