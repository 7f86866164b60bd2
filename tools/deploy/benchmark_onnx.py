"""How fast an exported student is, beside torch: the same inputs, in turn, in one process.

    python tools/deploy/benchmark_onnx.py <config> student.onnx student_int8.onnx --threads 2 --compile

A frame is a moment: the images of all cameras, and the map of the frame before, which is remembered. Reading images and
decoding boxes are left out. ``torch eager`` runs the graph that was exported, in torch. Memory includes the weights: of
torch what its tensors take, of a file what a process takes more to open it and answer twice.
"""

import functools
import os
import sys
from pathlib import Path

from dualdistill_cli import ToolParser, add_cfg_options, add_trust_flag, require_files, run_tool

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / 'analysis_tools'))

EAGER, COMPILED = 'torch eager', 'torch.compile'
HEADER = ('what', 'frame, ms', 'frames/s', 'times eager', 'memory, MiB', 'file, MB')


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config file of the student')
    parser.add_argument('models', nargs='+', help='files of export_onnx.py and quantize_onnx.py, of this student')
    parser.add_argument('--checkpoint', help='its checkpoint; without, torch runs with initial weights')
    parser.add_argument('--threads', type=int, default=2, help='of torch and of onnxruntime (default: 2)')
    parser.add_argument('--rounds', type=int, default=10, help='timed rounds (default: 10)')
    parser.add_argument('--compile', action='store_true', help='torch.compile as well; compiling takes minutes')
    add_trust_flag(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.rounds < 2:
        parser.error(f'--rounds: a middle half takes two at least, got {args.rounds}')
    if len({Path(path).stem for path in args.models}) < len(args.models):
        parser.error(f'two models have the same name: {" ".join(args.models)}')
    return args


def torch_student(args):
    """The graph in torch, in evaluation mode."""
    from mmdet3d_plugin.checkpoints.files import trust_checkpoints
    from mmdet3d_plugin.deploy.export import student_graph
    from mmdet3d_plugin.engine import build_model, load_config, load_student

    cfg = load_config(args.config, args.cfg_options)
    with trust_checkpoints(args.trust_checkpoint):
        detector = load_student(cfg, args.checkpoint) if args.checkpoint else build_model(cfg)
    return student_graph(detector)


def make_runs(args, graph, feed):
    """Name -> a call that answers for one moment."""
    import torch

    from dualdistill_runtime.detector import open_detector

    inputs = [torch.from_numpy(feed[name]) for name in graph.inputs]
    runs = {EAGER: functools.partial(_without_gradients, graph, inputs)}
    if args.compile:
        compiled = functools.partial(_without_gradients, torch.compile(graph), inputs)
        if _works(compiled):
            runs[COMPILED] = compiled
    files = {Path(path).stem: open_detector(path, threads=args.threads).model for path in args.models}
    return {**runs, **{name: functools.partial(model.run, feed) for name, model in files.items()}}


def _works(compiled):
    """Whether this version of torch compiles the graph; says why not."""
    try:
        compiled()
    except Exception as error:  # whatever its compiler stumbles over
        print(f'{COMPILED} is left out, it fails here: {type(error).__name__}: {str(error).splitlines()[0]}')
        return False
    return True


def _without_gradients(graph, inputs):
    import torch

    with torch.no_grad():
        return graph(*inputs)


def memory_of(graph, runs, paths, threads, feed):
    """Name -> MiB: of torch tensors, weights included; of a file what a process takes more to open it and answer."""
    from benchmarks.timing import in_a_process, peak_extra_mib

    weights = sum(tensor.nbytes for tensor in graph.state_dict().values()) / 2**20
    memory = {EAGER: weights + peak_extra_mib(runs[EAGER])}
    for path in paths:
        before, used = in_a_process(functools.partial(_answer_twice, path, threads, feed))
        memory[Path(path).stem] = used['peak_mib'] - before
    return memory


def _answer_twice(path, threads, feed):
    """MiB that the process had before."""
    from dualdistill_runtime.detector import open_detector

    before = int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20
    model = open_detector(path, threads=threads).model
    model.run(feed)
    model.run(feed)
    return before


def table(times, memory, paths):
    """Rows of cells, the header first."""
    from benchmarks.timing import median_ratio, summary

    sizes = {Path(path).stem: f'{os.path.getsize(path) / 1e6:.1f}' for path in paths}
    rows = [HEADER]
    for name, seconds in times.items():
        found = summary(seconds)
        span = f'{found["median_ms"]:.1f} ({found["low_ms"]:.1f} to {found["high_ms"]:.1f})'
        speed, ratio = f'{1e3 / found["median_ms"]:.2f}', f'{median_ratio(times[EAGER], seconds):.2f}'
        taken = f'{memory[name]:.0f}' if name in memory else '-'
        rows.append((name, span, speed, ratio, taken, sizes.get(name, '-')))
    return rows


def main(argv=None):
    """Time, measure, print a table."""
    args = parse_args(argv)
    require_files(args.config, *args.models)
    import torch
    from benchmarks.timing import paired_times

    from dualdistill_cli.tables import as_text
    from dualdistill_runtime.detector import open_detector
    from mmdet3d_plugin.deploy.verify import example_feed

    load = os.getloadavg()[0]
    torch.set_num_threads(args.threads)
    graph = torch_student(args)
    feed = example_feed(open_detector(args.models[0]))
    runs = make_runs(args, graph, feed)
    times = paired_times('one moment', runs, args.rounds)
    memory = memory_of(graph, runs, args.models, args.threads, feed)
    print(as_text(table(times, memory, args.models), HEADER[0]))
    print(f'{args.threads} thread(s), {os.cpu_count()} cores, load before the run {load:.1f}')


if __name__ == '__main__':
    run_tool(main)
