"""Models over the chosen keyframes, one after the other, and the keyframes themselves."""

from demonstration.choice import with_history


def open_config(model, args, infos: dict):
    """Config of a model with its data where the command line says.

    Args:
        model (Model): Whose.
        args: Parsed command line.
        infos: Kind of infos -> file to read instead of the config's; empty for the config's own.

    Returns:
        mmcv.Config: With ``data.test`` of it.
    """
    from experiments.config_file import data_options, read_config

    from mmdet3d_plugin.audit.overrides import load_checked

    options, cfg = {}, read_config(model.config)
    if args.data_root:
        moved = data_options(cfg, args.data_root.rstrip('/') or '/')
        options.update(option.split('=', 1) for option in moved if option.startswith('data.test.'))
    if infos:
        options['data.test.ann_file'] = infos[cfg.data.test.get('info_kind') or 'base']
    options.update(args.cfg_options or {})
    return load_checked(model.config, options or None, also_read={'point_cloud_range'})[0]


def load_models(models, args, infos: dict):
    """Yield name, config, detector and data set of each model, loaded one at a time.

    Raises:
        ValueError: A model detects other classes than the first one, or does not fit its data; names both sides.
    """
    from mmdet3d.datasets import build_dataset

    from mmdet3d_plugin.checkpoints.files import trust_checkpoints
    from mmdet3d_plugin.engine import load_student
    from mmdet3d_plugin.engine.pipeline_agreement import check_pipelines
    from mmdet3d_plugin.engine.preflight import check_classes

    first = None
    for model in models:
        cfg = open_config(model, args, infos)
        with trust_checkpoints(args.trust_checkpoint):
            detector = load_student(cfg, model.checkpoint)
        check_pipelines(detector, cfg.data.test, 'data.test')
        dataset = build_dataset(cfg.data.test, dict(test_mode=True))
        check_classes(detector, dataset)
        first = first or (model.name, detector.head.classes)
        check_same_classes(*first, model.name, detector.head.classes)
        yield model.name, cfg, detector, dataset


def check_same_classes(first: str, classes, name: str, others) -> None:
    """Raise ValueError when two models do not detect the same classes, in whatever order; names both sides."""
    if set(classes) != set(others):
        raise ValueError(
            f'{first} detects {", ".join(classes)}, but {name} detects {", ".join(others)}: one ground truth cannot be '
            f'shown for both, so show them in two calls'
        )


def predict(name: str, detector, dataset, tokens) -> dict:
    """What a detector sees in some keyframes; one that remembers frames also gets those before, from the scene's first.

    Args:
        name: Of the model, for messages.
        detector (BEVDetector): From :func:`engine.load_student`.
        dataset (NuScenesBEVDataset): Of its config.
        tokens (list[str]): Samples.

    Returns:
        dict[str, Boxes]: Token -> boxes.

    Raises:
        ValueError: The data set does not have one of the samples.
    """
    from mmcv import ProgressBar

    from mmdet3d_plugin.engine import detect
    from mmdet3d_plugin.visualization.results import detected_boxes

    columns = dataset.data_infos.columns
    index_of = {token.decode(): index for index, token in enumerate(columns.token)}
    absent = [token for token in tokens if token not in index_of]
    if absent:
        raise ValueError(f'{name}: {dataset.ann_file} has no sample {absent[0]}, which the first model has')
    indices = [index_of[token] for token in tokens]
    detector.reset()
    seen, wanted = with_history(columns, indices) if detector.sequential else indices, set(indices)
    print(f'{name}: {len(seen)} keyframes')
    found, bar = {}, ProgressBar(len(seen))
    for index in seen:
        boxes = detected_boxes(detect(detector, dataset[index]), detector.head.classes)
        if index in wanted:
            found[columns.token[index].decode()] = boxes
        bar.update()
    print()
    return found


def make_frames(dataset, chosen, predictions: dict, camera_width: int) -> list:
    """What there is to show of some keyframes.

    Args:
        dataset (NuScenesBEVDataset): Data set.
        chosen (list[int]): Keyframes.
        predictions: Model -> token -> boxes.
        camera_width: Larger images are made this wide, px.

    Returns:
        list[Frame]: See :class:`mmdet3d_plugin.visualization.frame.Frame`.
    """
    times, start = dataset.scene_times(), {}
    for scene, seconds in times:
        start.setdefault(scene, seconds)
    return [
        _frame(dataset, index, times[index][1] - start[times[index][0]], predictions, camera_width) for index in chosen
    ]


def _frame(dataset, index, seconds, predictions, camera_width):
    """Frame: Keyframe ``index``, so many seconds after its scene's first one."""
    from mmdet3d_plugin.datasets.lidar_file import read_lidar
    from mmdet3d_plugin.visualization.frame import Frame
    from mmdet3d_plugin.visualization.results import ground_truth_boxes, lidar_to_global

    info, item = dataset.data_infos[index], dataset.get_data_info(index)
    return Frame(
        token=info['token'],
        scene=info.get('scene_name') or info['scene_token'],
        seconds=seconds,
        lidar_to_global=lidar_to_global(info),
        points=read_lidar(item['pts_filename']),
        cameras={name: _camera(camera, camera_width) for name, camera in item['cams'].items()},
        truth=None if dataset.version.endswith('test') else ground_truth_boxes(info, dataset.CLASSES),
        models={name: found[info['token']] for name, found in predictions.items()},
    )


def _camera(camera, width):
    """Image of at most ``width`` px, and the camera's record with its intrinsic matrix."""
    from mmdet3d_plugin.visualization.camera import resize_with_intrinsic
    from mmdet3d_plugin.visualization.image_file import read_image

    image = read_image(camera['data_path'])
    image, intrinsic = resize_with_intrinsic(image, camera['cam_intrinsic'], min(width, image.shape[1]))
    return image, dict(camera, cam_intrinsic=intrinsic)
