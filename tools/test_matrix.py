"""Builds an environment for each supported pair of Python and torch, runs the core tests there and prints a table.

    bash scripts/test_matrix.sh                                    # starts this file with any Python
    bash scripts/test_matrix.sh --pairs 3.10+2.7.1 --folder /scratch/matrix

The commit that is checked out is tested, in a clone of its own for each pair; its log, its test report and the table
(``matrix.json``, ``matrix.md``) lie in the folder. A pair that passed is not run again unless requirements, set-up or
sources have changed. Only Python's own library is used: no environment is there yet.
"""

import argparse
import fcntl
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # nothing is installed for the Python that runs this

from matrix.pairs import (
    PAIRS,
    Pair,
    PairFailedError,
    current_commit,
    describe_checkout,
    find_interpreter,
    run_pair,
)
from matrix.report import Outcome, remarks_of, rows_of, write_reports
from workflow.schedule import run_to_the_end

from dualdistill_cli import ToolParser
from dualdistill_cli.tables import as_text

REPO = Path(__file__).resolve().parents[1]
VARIABLES = """variables:
  PYTHONS             interpreters to look at before those on the PATH, separated by blanks
  DUALDISTILL_DEVICE  cpu or cuda (default here: cpu), see bash scripts/setup.sh --help for this and more"""


def parse_args(argv=None):
    parser = ToolParser(__doc__, epilog=VARIABLES, allow_abbrev=False)
    parser.add_argument(
        '--pairs', type=_pairs, default=','.join(PAIRS), help='Python+torch, separated by commas (default: %(default)s)'
    )
    default = Path(tempfile.gettempdir()) / 'dualdistill_matrix'
    parser.add_argument('--folder', type=Path, default=default, help='scratch folder (default: %(default)s)')
    parser.add_argument('--jobs', type=int, default=2, help='files of tests at a time (default: %(default)s)')
    return parser.parse_args(argv)


def _pairs(text):
    try:
        return list(dict.fromkeys(Pair.parse(word.strip()) for word in text.split(',')))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def test_pair(pair, commit, label, args):
    """Outcome: what came of one pair; a failure of any kind is one, and does not end the others."""
    try:
        return run_pair(pair, find_interpreter(pair.python), REPO, commit, args.folder.resolve(), label, args.jobs)
    except PairFailedError as error:
        print(f'{label} {pair.name}  {error}', file=sys.stderr, flush=True)
        return Outcome(pair.python, pair.torch, status=error.status, reason=error.reason)


def alone_in(folder):
    """Lock the folder, so that two runs do not meet there. Returns the open lock file.

    Raises:
        OSError: It cannot be written.
        PairFailedError: Another run works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / 'lock', 'w')  # noqa: SIM115  (the caller holds it)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        reason = f'another run works in {folder}: wait for it or choose another --folder'
        raise PairFailedError('busy', reason) from error
    return lock


def main(argv=None):
    """Returns the exit status: 0 when every pair passed, 130 when interrupted."""
    args = parse_args(argv)
    try:
        lock = alone_in(args.folder)  # noqa: F841  (held as long as it lives)
        print(describe_checkout(REPO), flush=True)
        commit = current_commit(REPO)  # the checkout may move on while pairs are tested
    except (OSError, PairFailedError) as error:
        print(error, file=sys.stderr)
        return 1
    outcomes = []

    def test_all():
        for number, pair in enumerate(args.pairs, start=1):
            outcomes.append(test_pair(pair, commit, f'[{number}/{len(args.pairs)}]', args))
            write_reports(outcomes, args.folder)

    status, _ = run_to_the_end(test_all)
    if outcomes:
        print(f'\n{as_text(rows_of(outcomes), "mmcv-full")}\n')
        print('\n'.join([*remarks_of(outcomes), f'also in {args.folder}/matrix.json and matrix.md']))
    return status or int(any(outcome.status != 'passed' for outcome in outcomes))


if __name__ == '__main__':
    os.chdir(REPO)
    sys.exit(main())
