"""``benchmark.py evaluation``: the fast evaluation and the devkit's, on generated keyframes without sensor files."""

import functools
import multiprocessing
import resource
import tempfile
import time

from mmdet3d_plugin.datasets import NuScenesBEVDataset
from mmdet3d_plugin.synthetic.annotated_keyframes import random_results, write_keyframes

TOLERANCE = 1e-9


def measure(args):
    """(numbers by name, e.g. 'evaluation.results.fast.cpu_s'; table ``evaluation``).

    The tables have no camera frames and no sweeps: with all of nuScenes' 2.6 million rows the devkit takes about a
    minute and 7 GB more.

    Raises:
        ValueError: ``--device cuda``, or scores that differ.
    """
    if args.device != 'cpu':
        raise ValueError('evaluations run on the CPU: leave out --device')
    with tempfile.TemporaryDirectory() as folder:
        info_path = write_keyframes(f'{folder}/data', args.keyframes, args.objects)
        dataset = NuScenesBEVDataset(info_path, f'{folder}/data', test_mode=True)
        results = random_results(dataset.data_infos, args.boxes)
        numbers = dict(prepare=_in_a_process(dataset.check_evaluation)[1])
        numbers['write'] = _in_a_process(functools.partial(dataset.format_results, results, folder))[1]
        path, difference = dataset.format_results(results, folder)[0], 0.0
        for source, evaluate in (('results', dataset.evaluate), ('file', dataset.evaluate_file)):
            given, scores = results if source == 'results' else path, {}
            for backend in ('fast', 'devkit'):
                run = functools.partial(evaluate, given, logger='silent', backend=backend)
                scores[backend], numbers[f'{source}.{backend}'] = _in_a_process(run)
            difference = max(difference, _difference(scores))
    return _report(numbers, difference, args)


def _difference(scores):
    if scores['fast'].keys() != scores['devkit'].keys():
        raise ValueError(f'only one has {sorted(scores["fast"].keys() ^ scores["devkit"].keys())}')
    worst = max(abs(scores['fast'][key] - scores['devkit'][key]) for key in scores['fast'])
    if worst > TOLERANCE:
        raise ValueError(f'the two evaluations differ by {worst}')
    return worst


def _in_a_process(function):
    """What a function returns in a process of its own, and dict of its ``cpu_s``, ``wall_s`` and ``peak_mib``."""
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)

    def run():
        cpu, wall = time.process_time(), time.perf_counter()
        value = function()
        used = dict(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)
        sender.send((value, dict(used, peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))

    process = context.Process(target=run)
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise ValueError('a measured process ended early: see its error above') from None
    finally:
        process.join()


def _report(measured, difference, args):
    """Numbers by name, and the table."""
    numbers = {f'evaluation.{run}.{key}': value for run, used in measured.items() for key, value in used.items()}
    numbers.update({'evaluation.max_difference': difference})
    rows = [(f'evaluation, {args.keyframes} keyframes of {args.boxes} boxes', 'fast', 'devkit')]
    for source, title in (('results', 'from results in memory'), ('file', 'from a submission file')):
        fast, devkit = measured[f'{source}.fast'], measured[f'{source}.devkit']
        ratio = devkit['cpu_s'] / fast['cpu_s']
        numbers[f'evaluation.{source}.ratio_vs_devkit'] = ratio
        rows.append((f'{title}, CPU s', f'{fast["cpu_s"]:.2f}', f'{devkit["cpu_s"]:.2f}'))
        rows.append((f'{title}, ratio', '1', f'{ratio:.1f}'))
        rows.append((f'{title}, peak of the process, MiB', f'{fast["peak_mib"]:.0f}', f'{devkit["peak_mib"]:.0f}'))
    rows.append(('ground truth, read once, CPU s', f'{measured["prepare"]["cpu_s"]:.2f}', 'each time'))
    rows.append(('writing a submission, CPU s', f'{measured["write"]["cpu_s"]:.2f}', ''))
    rows.append(('largest difference of a score', f'{difference:.0e}', ''))
    return numbers, dict(evaluation=rows)
