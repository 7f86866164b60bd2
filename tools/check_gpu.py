"""Prove a GPU after installing: kernels, training steps, exact resume, two processes, times, and one verdict.

    bash scripts/check_gpu.sh                     # finds the environment, then starts this file
    python tools/check_gpu.py --device cpu        # rehearse on the CPU
    python tools/check_gpu.py --only kernels      # one step again

Every step is one of the project's ordinary commands and has a log in ``<out-dir>/logs``. A step that fails does not
keep the others from running. ``check_gpu.md`` and ``check_gpu.json`` hold the outcomes, ``timings.md`` tables for
docs/performance.md. No data set is needed. The exit status is 0 only when every check passed.
"""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from gpu_check.plan import NAMES, make_plan
from gpu_check.report import verdict, write_reports, write_timings
from workflow.schedule import run_to_the_end

from dualdistill_cli import ToolParser, run_tool

REPO = Path(__file__).resolve().parents[1]


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--device', choices=['cuda', 'cpu'], default='cuda', help='cpu: a rehearsal (default: %(default)s)'
    )
    parser.add_argument('--out-dir', type=Path, default=Path('outputs/check_gpu'), help='default: %(default)s')
    parser.add_argument('--only', nargs='+', choices=NAMES, metavar='STEP', help=f'some of: {", ".join(NAMES)}')
    return parser.parse_args(argv)


def examine(device):
    """Machine; a GPU is seen from another process, as it may take one only, and the checks come next.

    Raises:
        ValueError: see :func:`gpu_check.machine.look_at`.
    """
    from gpu_check.machine import look_at

    if device == 'cpu':
        return look_at(device)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')) as pool:
        return pool.submit(look_at, device).result()


def run_checks(checks, out_dir):
    """list[Outcome]: of every check, one after the other."""
    path = os.pathsep.join([str(REPO), *filter(None, [os.environ.get('PYTHONPATH')])])
    outcomes = []
    for number, check in enumerate(checks, start=1):
        log = out_dir / 'logs' / f'{check.name}.log'
        outcomes.append(check.run(log, f'[{number}/{len(checks)}]', {'PYTHONPATH': path}))
    return outcomes


def main(argv=None):
    """Run the checks. Returns the exit status: 0 when all passed, 1 when one failed, 130 when interrupted."""
    args = parse_args(argv)
    os.chdir(REPO)
    start = time.monotonic()
    machine = examine(args.device)
    print(f'checking {machine.name or "the CPU, a rehearsal"} ({machine.versions})', flush=True)
    checks = make_plan(args.device, args.out_dir, machine.num_devices)
    checks = [check for check in checks if args.only is None or check.name in args.only]
    status, outcomes = run_to_the_end(lambda: run_checks(checks, args.out_dir))
    if status:
        return status
    seconds = time.monotonic() - start
    passed, line = verdict(outcomes, machine, seconds, partial=args.only is not None)
    write_reports(outcomes, machine, seconds, line, passed, args.out_dir)
    timed = write_timings(outcomes, machine, args.out_dir)
    print(f'\n{args.out_dir}/check_gpu.md says more' + (', timings.md holds tables of times' if timed else ''))
    print(line)
    return int(not passed)


if __name__ == '__main__':
    run_tool(main)
