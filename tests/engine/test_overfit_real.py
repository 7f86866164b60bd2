r"""Teacher and camera student learn the six real keyframes of scene-0103 by heart: real sensors, tables and scores.

Generated data cannot show a wrong axis, pose or class that generator and code have in common; these can.
Figures and picture in ``docs/experiments.md`` are of these runs. With ``--basetemp outputs/overfit``::

    for model in teacher student; do
        python tools/test.py outputs/overfit/${model}0/*_toy.py outputs/overfit/${model}0/latest.pth --eval bbox \
            --eval-options jsonfile_prefix=outputs/overfit/eval_${model}
    done
    cd outputs/overfit
    python ../../tools/visualization/draw_predictions.py teacher0/centerpoint_toy.py --out-dir pictures \
        --pred teacher=eval_teacher/results_nusc.json student=eval_student/results_nusc.json
"""

import json

import pytest
from helpers.nuscenes_batch import load_tables, write_infos
from mmcv import Config

# The quick start's models see 19.2 m; nuScenes scores cars up to 50 m. Extents and canvases grow, cells stay.
WIDER = {19.2: 51.2, -19.2: -51.2, 24.0: 61.2, -24.0: -61.2, 96: 256, 384: 1024}
EXTENTS = {
    *('point_cloud_range', 'pc_range', 'post_center_range', 'post_center_limit_range', 'output_shape', 'grid_size'),
    *('xbound', 'ybound'),
}


@pytest.fixture(scope='module')
def scene_0103(real_keyframes, tmp_path_factory):
    """Data root, and info files by kind of six keyframes; the frames before are keyframes too."""
    tables, folder = load_tables(real_keyframes), tmp_path_factory.mktemp('infos')
    files = {kind: write_infos(tables, folder, kind, scenes=('scene-0103',), interval=1) for kind in ('base', '4d')}
    return real_keyframes, files


def widen(node):
    """The quick start's numbers for its range, below ``node`` of a config, become those of the full range."""
    for key, value in node.items():
        if key in EXTENTS:
            node[key] = [WIDER.get(number, number) for number in value]
        for child in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(child, dict):
                widen(child)


IMAGE, DEPTHS = (128, 352), (1.0, 60.0, 1.0)
STEPS = dict(  # keyframes as they are, at training as at test
    GlobalBEVAug=dict(flip_x_prob=0.0, flip_y_prob=0.0),
    LoadLidarPointsFromMultiSweeps=dict(sweeps_num=0),
    SelectAdjacentFrames=dict(min_index=0, max_index=1, test_index=0),
    AugmentMultiViewImages=dict(final_dim=IMAGE, resize_range=(0.0, 0.0), test_resize=0.0),
    PointsToDepthMap=dict(depth_bounds=DEPTHS),
)


def overfit_config(name, root, infos, folder, passes, epochs=1, **overrides):
    """Config file of a toy that trains and evaluates on the same keyframes, two at a time.

    Args:
        name: of the quick start's config.
        root, infos: data root and info file.
        folder: where the file goes.
        passes: over the keyframes in what the runner calls an epoch.
        epochs: of the runner; the keyframes are scored after each.
        overrides: of the config.
    """
    cfg = Config.fromfile(f'configs/quickstart/{name}.py')
    widen(cfg._cfg_dict)
    for split in ('train', 'val', 'test'):
        cfg.data[split].update(data_root=str(root), ann_file=str(infos))
        for step in cfg.data[split].pipeline:
            step.update(STEPS.get(step['type'], {}))
    cfg.data.train = dict(type='RepeatDataset', times=passes, dataset=cfg.data.train)
    cfg.merge_from_dict(dict(data=dict(samples_per_gpu=2), runner=dict(max_epochs=epochs), evaluation=dict(interval=1)))
    cfg.merge_from_dict(overrides)
    path = folder / f'{name}.py'
    cfg.dump(str(path))
    return path


def scores_of(work_dir):
    """Scores of the last evaluation in a work dir."""
    (log,) = work_dir.glob('*.log.json')
    records = [json.loads(line) for line in log.read_text().splitlines()]
    return [record for record in records if record.get('mode') == 'val'][-1]


@pytest.fixture
def learn(scene_0103, train, repo_root, tmp_path_factory, monkeypatch):
    """Function: (work dir's name, config name, kind of infos, what :func:`overfit_config` takes) -> scores."""
    monkeypatch.chdir(repo_root)

    def run(work_dir, name, kind, **settings):
        root, files = scene_0103
        config = overfit_config(name, root, files[kind], tmp_path_factory.mktemp('config'), **settings)
        work_dir = tmp_path_factory.mktemp(work_dir)
        train(config, '--work-dir', work_dir)
        return scores_of(work_dir)

    return run


@pytest.mark.slow
def test_the_teacher(learn):
    scores = learn('teacher', 'centerpoint_toy', 'base', passes=100)
    for name in ('car', 'pedestrian', 'traffic_cone'):
        assert scores[f'{name}_AP'] > 0.95, scores
    assert max(scores['car_AOE'], scores['pedestrian_AOE']) < 0.1, scores


@pytest.mark.slow
def test_the_camera_student(learn):
    view = dict(img_view_transformer=dict(image_size=IMAGE, depth_bound=DEPTHS))
    settings = dict(passes=50, epochs=3, model=view, lr_config=dict(warmup_iters=20))
    scores = learn('student', 'bevdepth4d_toy', '4d', **settings)
    assert scores['car_AP'] > 0.5, scores
