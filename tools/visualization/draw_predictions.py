"""Draw predictions of one or several models against ground truth: bird's-eye view and all cameras, one PNG a sample.

    python tools/visualization/draw_predictions.py CONFIG --out-dir pictures \\
        --pred student=outputs/student/eval/results_nusc.json distilled=outputs/distilled/eval/results_nusc.json

The predictions are the ``results_nusc.json`` files that ``tools/test.py CONFIG CHECKPOINT --eval bbox --eval-options
jsonfile_prefix=FOLDER`` writes.
"""

from pathlib import Path

from dualdistill_cli import ToolParser, add_cfg_options, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help="config whose data.val is drawn; any of the models' will do")
    parser.add_argument('--pred', nargs='+', required=True, metavar='NAME=results_nusc.json', help='one row each')
    parser.add_argument('--out-dir', type=Path, required=True)
    parser.add_argument('--num', type=int, default=4, help='samples, spread evenly (default: %(default)s)')
    parser.add_argument('--tokens', nargs='+', help='draw these samples instead')
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='draw boxes from this score (default: %(default)s)'
    )
    parser.add_argument('--range', type=float, help="half side of the bird's-eye view, m (default: the config's range)")
    parser.add_argument('--camera-width', type=int, default=400, help='px (default: %(default)s)')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.num < 1:
        parser.error(f'--num must be at least 1, got {args.num}')
    return args


def read_predictions(entries):
    """``NAME=file`` entries (or plain files, named after their folder) as {name: {token: detections}}."""
    from mmdet3d_plugin.visualization.results import load_results

    predictions = {}
    for entry in entries:
        name, _, path = entry.rpartition('=')
        predictions[name or Path(path).resolve().parent.name] = load_results(path)
    return predictions


def choose(dataset, predictions, num, tokens=None):
    """Indices of the samples to draw.

    Args:
        dataset (NuScenesBEVDataset): Data set.
        predictions (dict[str, dict]): See :func:`read_predictions`.
        num (int): Number of samples, spread over those that every model predicted.
        tokens (list[str], optional): Draw exactly these.

    Returns:
        list[int]: Indices in the data set's order.

    Raises:
        ValueError: A token has no prediction or is not in the data set, or the models share no sample.
    """
    index_of = {dataset.data_infos[index]['token']: index for index in range(len(dataset))}
    common = [token for token in index_of if all(token in results for results in predictions.values())]
    if tokens:
        unknown = sorted(set(tokens) - set(common))
        if unknown:
            raise ValueError(f'{unknown}: not a sample of {dataset.ann_file} that every results file predicts')
        return sorted(index_of[token] for token in tokens)
    if not common:
        raise ValueError(f'no sample of {dataset.ann_file} is in every results file: predictions of another data set?')
    num = min(num, len(common))
    return [index_of[common[(2 * number + 1) * len(common) // (2 * num)]] for number in range(num)]


def draw_sample(dataset, index, predictions, bev_range, score_thr, camera_width):
    """Sheet of one sample, (H, W, 3) uint8 RGB."""
    from mmdet3d_plugin.datasets.lidar_file import read_lidar
    from mmdet3d_plugin.visualization.image_file import read_image
    from mmdet3d_plugin.visualization.results import boxes_in_lidar_frame, ground_truth_boxes
    from mmdet3d_plugin.visualization.sheet import draw_sheet

    info, item = dataset.data_infos[index], dataset.get_data_info(index)
    models = {}
    for name, results in predictions.items():
        boxes = boxes_in_lidar_frame(results[info['token']], info)
        models[name] = boxes.select(boxes.scores >= score_thr)
    points = read_lidar(item['pts_filename'])
    cameras = {name: (read_image(camera['data_path']), camera) for name, camera in item['cams'].items()}
    title = f'sample {info["token"]}, predictions with a score of at least {score_thr:g}'
    return draw_sheet(
        models, ground_truth_boxes(info, dataset.CLASSES), points, cameras, bev_range, title, camera_width
    )


def main(argv=None):
    """Write the pictures."""
    args = parse_args(argv)
    import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

    # isort: split
    from mmdet3d.datasets import build_dataset

    from mmdet3d_plugin.audit.overrides import load_checked
    from mmdet3d_plugin.visualization.image_file import write_image

    cfg, _ = load_checked(args.config, args.cfg_options, also_read={'point_cloud_range'})
    predictions = read_predictions(args.pred)
    dataset = build_dataset(cfg.data.val)
    x_min, y_min, _, x_max, y_max, _ = cfg.point_cloud_range
    bev_range = (x_min, y_min, x_max, y_max) if args.range is None else (-args.range, -args.range) + (args.range,) * 2
    args.out_dir.mkdir(parents=True, exist_ok=True)
    chosen = choose(dataset, predictions, args.num, args.tokens)
    for number, index in enumerate(chosen, start=1):
        sheet = draw_sample(dataset, index, predictions, bev_range, args.score_thr, args.camera_width)
        path = args.out_dir / f'sample_{index:05d}.png'
        write_image(path, sheet)
        print(f'{number}/{len(chosen)} {path}', flush=True)


if __name__ == '__main__':
    run_tool(main)
