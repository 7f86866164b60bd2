"""Run an exported student over a nuScenes-format set and write the submission file that tools/test.py writes.

    python tools/deploy/run_onnx.py student.onnx --data-root data/nuscenes --out outputs/onnx

numpy, onnxruntime and OpenCV are all it needs. Samples come scene after scene in order of time, and the student
remembers what it has seen. ``--eval`` scores the file as tools/test.py does, which needs the whole environment.
"""

import time

from dualdistill_cli import ToolParser, check_writable, require_files, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('model', help='file of export_onnx.py')
    parser.add_argument('--data-root', required=True, help='root of the set, with its info files')
    parser.add_argument('--split', default='val', help='which info file: train, val or test (default: val)')
    parser.add_argument('--ann-file', help='info file, where it has another name than create_data.py gives it')
    parser.add_argument('--out', default='outputs/onnx', help='folder of results_nusc.json (default: outputs/onnx)')
    parser.add_argument('--threads', type=int, help='of onnxruntime (default: all cores)')
    parser.add_argument('--eval', action='store_true', help='score the file afterwards')
    return parser.parse_args(argv)


def detect(detector, samples):
    """Detections of all samples, in order."""
    found, begun = [], time.perf_counter()
    for number, sample in enumerate(samples, 1):
        found.append(look(detector, sample))
        if number % 20 == 0 or number == len(samples):
            speed = number / (time.perf_counter() - begun)
            print(f'{number} of {len(samples)} samples, {speed:.1f} a second', flush=True)
    return found


def look(detector, sample):
    """Detections of one sample: of a student of adjacent frames in the light of the frame that the set gives."""
    if detector.model.facts['frames']['kind'] != 'adjacent':
        return detector.look(sample.current)
    detector.reset()
    if sample.earlier is None:
        return detector.look(sample.current)
    detector.glance(sample.earlier)
    return detector.look(sample.current, age=sample.current.timestamp - sample.earlier.timestamp)


def ground_truth(ann_file, data_root, facts):
    """The set to score on; what scoring needs is there."""
    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from mmdet3d_plugin.datasets.nuscenes_bev_dataset import NuScenesBEVDataset
    from mmdet3d_plugin.engine.preflight import check_evaluation_data

    said = {name: facts[name] for name in ('classes', 'modality', 'eval_version')}
    dataset = NuScenesBEVDataset(ann_file=str(ann_file), data_root=data_root, test_mode=True, **said)
    check_evaluation_data(dataset)
    return dataset


def main(argv=None):
    """Detect, write, score."""
    args = parse_args(argv)
    require_files(args.model)
    from dualdistill_runtime.detector import open_detector
    from dualdistill_runtime.info_frames import InfoFile, info_file
    from dualdistill_runtime.submission import write_submission

    detector = open_detector(args.model, threads=args.threads)
    facts = detector.model.facts
    ann_file = args.ann_file or info_file(args.data_root, args.split, facts)
    samples = InfoFile(ann_file, args.data_root, facts)
    truth = ground_truth(ann_file, args.data_root, facts) if args.eval else None
    check_writable({'--out': args.out})
    path = write_submission(detect(detector, samples), samples.infos, facts, args.out)
    print(f'submission: {path}')
    if truth is not None:
        truth.evaluate_file(str(path))


if __name__ == '__main__':
    run_tool(main)
