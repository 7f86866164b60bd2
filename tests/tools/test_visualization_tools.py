"""draw_predictions.py and plot_curves.py from files to pictures."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdet3d_plugin.datasets.infos.info_io import save_infos

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT')
IDENTITY = [1.0, 0.0, 0.0, 0.0]


def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, TOOLS / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


draw_predictions = load('visualization/draw_predictions.py')
plot_curves = load('analysis_tools/plot_curves.py')


def make_info(number):
    camera = dict(
        data_path='image.png',
        sensor2lidar_rotation=np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
        sensor2lidar_translation=np.zeros(3),
        cam_intrinsic=np.array([[100.0, 0, 80], [0, 100.0, 45], [0, 0, 1]]),
    )
    pose = {f'{frame}_{part}': value for frame in ('lidar2ego', 'ego2global')
            for part, value in (('translation', [0.0, 0.0, 0.0]), ('rotation', IDENTITY))}  # fmt: skip
    return dict(
        pose, token=f'token{number}', scene_token='scene', timestamp=1000 + number, lidar_path='points.bin', sweeps=[],
        cams={name: dict(camera) for name in CAMERAS}, gt_boxes=np.array([[0.0, 10, 0, 4, 2, 1.5, 0]]),
        gt_names=np.array(['car']), gt_velocity=np.zeros((1, 2)), num_lidar_pts=np.array([5]),
        num_radar_pts=np.array([0]), valid_flag=np.array([True]),
    )  # fmt: skip


@pytest.fixture
def data(tmp_path):
    """Config file and a function that writes a results file, over five samples that share their files."""
    cv2.imwrite(str(tmp_path / 'image.png'), np.full((90, 160, 3), 128, dtype=np.uint8))
    np.ones((4, 5), dtype=np.float32).tofile(tmp_path / 'points.bin')
    save_infos(tmp_path / 'val.pkl', [make_info(number) for number in range(5)], version='v1.0-mini', split='val')
    config = tmp_path / 'config.py'
    config.write_text(
        "point_cloud_range = [-20, -20, -5, 20, 20, 3]\ndata = dict(val=dict(type='NuScenesBEVDataset', "
        f"data_root='{tmp_path}', ann_file='{tmp_path}/val.pkl', pipeline=[], test_mode=True))\n"
    )

    def results(name, numbers):
        detection = dict(translation=[0.0, 10.0, 0.0], size=[2.0, 4.0, 1.5], rotation=IDENTITY, detection_name='car')
        boxes = [dict(detection, detection_score=score) for score in (0.9, 0.2)]
        path = tmp_path / f'{name}.json'
        path.write_text(json.dumps(dict(meta={}, results={f'token{number}': boxes for number in numbers})))
        return f'{name}={path}'

    return str(config), results


def test_draws_samples_that_every_model_predicted(data, tmp_path):
    config, results = data
    predictions = [results('student', range(5)), results('distilled', (1, 2, 3))]
    out = tmp_path / 'pictures'
    args = [config, '--pred', *predictions, '--out-dir', str(out), '--num', '2', '--camera-width', '160']
    draw_predictions.main(args)
    assert [path.name for path in sorted(out.iterdir())] == ['sample_00001.png', 'sample_00003.png']
    row = 2 * 90 + 4
    assert cv2.imread(str(out / 'sample_00001.png')).shape == (2 * 26 + 2 * (26 + row), row + 4 + 3 * 160 + 8, 3)


def test_score_threshold_and_tokens(data, tmp_path):
    config, results = data
    entry = results('student', range(5))
    pictures = []
    for threshold in ('0.1', '0.95'):
        out = tmp_path / threshold
        draw_predictions.main(
            [config, '--pred', entry, '--out-dir', str(out), '--tokens', 'token4', '--score-thr', threshold]
        )
        pictures.append(cv2.imread(str(out / 'sample_00004.png')))
    assert (pictures[0] != pictures[1]).any()


def test_foreign_predictions_and_tokens_are_errors(data, tmp_path):
    config, results = data
    out = ['--out-dir', str(tmp_path / 'out')]
    with pytest.raises(ValueError, match='another data set'):
        draw_predictions.main([config, '--pred', results('a', (7, 8)), *out])
    with pytest.raises(ValueError, match='token3'):
        draw_predictions.main([config, '--pred', results('b', (0,)), *out, '--tokens', 'token3'])


def test_choice_is_spread_and_never_repeats():
    class Dataset:
        ann_file = 'x'
        data_infos = [dict(token=str(number)) for number in range(10)]

        def __len__(self):
            return 10

    predictions = {'a': {str(number): [] for number in range(10)}}
    assert draw_predictions.choose(Dataset(), predictions, 2) == [2, 7]
    assert draw_predictions.choose(Dataset(), predictions, 99) == list(range(10))


def test_plot_curves_names_runs_after_their_folder(tmp_path, capsys):
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        (tmp_path / name / '1.log.json').write_text('{"mode": "train", "epoch": 1, "iter": 1, "lr": 0.1, "loss": 2}\n')
    out = tmp_path / 'new' / 'curves.png'
    plot_curves.main([str(tmp_path / 'one'), f'second={tmp_path / "two"}', '--out', str(out)])
    assert cv2.imread(str(out)).shape[2] == 3
    with pytest.raises(FileNotFoundError, match='three'):
        plot_curves.main([str(tmp_path / 'three')])
