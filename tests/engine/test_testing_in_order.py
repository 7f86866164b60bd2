"""Detectors that remember frames see whole scenes in order, whatever the number of processes."""

import pickle
import warnings

import numpy as np
import pytest
import torch.multiprocessing as mp
from helpers.processes import free_port
from helpers.sequential_fakes import NumberedFrames, Remembering, gloo_predictions
from mmcv import Config
from mmdet.datasets import RepeatDataset
from mmdet3d.utils import get_root_logger
from torch.utils.data import ConcatDataset, Subset

from dualdistill_runtime.frame_order import FramesOutOfOrder, follows
from mmdet3d_plugin.engine import run_inference, train_detector
from mmdet3d_plugin.engine.scene_order import SceneShare, scene_times, share_out
from mmdet3d_plugin.engine.test import build_test_loader

LENGTHS = dict(a=5, b=2, c=4, d=1, e=3)
FRAMES = [(scene, 100.0 * k + 0.5 * i) for k, (scene, n) in enumerate(LENGTHS.items()) for i in range(n)]

RUNS = dict(three=(3, FRAMES), two=(2, FRAMES), one_scene=(2, FRAMES[:5]))


def config(frames=FRAMES, **loader):
    data = dict(test=dict(type='NumberedFrames', frames=frames))
    return Config(dict(data=dict(data, test_dataloader=dict(dict(workers_per_gpu=0), **loader)), work_dir='unused'))


def expected(frames=FRAMES):
    """Each frame remembers those before it of its scene, by definition."""
    return [
        dict(index=i, seen=[k for k in range(i + 1) if frames[k][0] == scene]) for i, (scene, _) in enumerate(frames)
    ]


def predictions(frames=FRAMES, model=None):
    model = model or Remembering()
    _, loader = build_test_loader(config(frames), distributed=False, model=model)
    return run_inference(model, loader, False, 'unused')


def test_one_two_and_three_processes_give_the_same_results(tmp_path):
    """And so do more processes than scenes, which leaves some without work."""
    runs = {name: (count, free_port(), config(frames)) for name, (count, frames) in RUNS.items()}
    mp.spawn(gloo_predictions, args=(runs, tmp_path), nprocs=3)
    for name, (_, frames) in RUNS.items():
        first, second, score = pickle.loads((tmp_path / f'{name}.pkl').read_bytes())
        assert first == second == predictions(frames) == expected(frames), name
        assert score == pytest.approx(sum(len(result['seen']) for result in first) / len(frames))


@pytest.mark.parametrize('processes', [1, 2, 3, 7])
def test_shares_are_neighbouring_whole_scenes_of_about_the_same_size(processes):
    sizes = [41, 40, 39, 40, 5, 40, 40, 41, 40]
    bounds = [sum(sizes[:k]) for k in range(len(sizes) + 1)]
    scenes = [list(range(*bounds[k : k + 2])) for k in range(len(sizes))]
    shares = share_out(scenes, processes)
    assert len(shares) == processes and sum(shares, []) == list(range(sum(sizes)))
    assert all(any(set(scene) <= set(share) for share in shares) for scene in scenes)
    assert max(map(len, shares)) <= sum(sizes) / processes + max(sizes)
    assert all(shares)


def test_scenes_recorded_at_the_same_time_are_told_apart():
    frames = [('ab'[i % 2], 0.25 * i) for i in range(8)]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert predictions(frames) == expected(frames)


def test_each_run_starts_with_nothing_remembered():
    model = Remembering()
    frames = [('a', 0.0), ('a', 0.5)]
    assert predictions(frames, model) == predictions(frames, model) == expected(frames)


def test_batches_are_refused():
    with pytest.raises(ValueError, match=r'data.test_dataloader.samples_per_gpu=2: Remembering .*set it to 1'):
        build_test_loader(config(samples_per_gpu=2), distributed=False, model=Remembering())
    build_test_loader(config(samples_per_gpu=2), distributed=False)  # as before for every other detector


@pytest.mark.parametrize(
    'frames, anew, text',
    [
        (FRAMES[::3], [0, 1, 2, 3, 4], r'1 of 5 samples .*sample 1, \+1.50 s'),
        ([FRAMES[i] for i in (0, 2, 1, 3)], [0, 2], r'1 of 4 samples .*sample 2, -0.50 s'),
        ([FRAMES[0], FRAMES[0]], [0, 1], r'1 of 2 samples .*sample 1, \+0.00 s'),
    ],
)
def test_thinned_and_shuffled_sets_give_one_warning(frames, anew, text):
    with pytest.warns(FramesOutOfOrder, match=text) as caught:
        found = predictions(frames)
    assert len([w for w in caught if w.category is FramesOutOfOrder]) == 1  # the detector's own ones are not repeated
    assert [result['index'] for result in found] == list(range(len(frames)))
    assert [result['index'] for result in found if len(result['seen']) == 1] == anew


def test_what_follows_what():
    assert [follows(seconds) for seconds in (-0.5, 0.0, 0.5, 1.0, 1.01)] == [False, False, True, True, False]


def test_a_second_apart_is_not_thinned_beyond_use():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        predictions([('a', 0.0), ('a', 1.0)])


def test_wrapped_sets_are_looked_through():
    inner = NumberedFrames(FRAMES)
    picked = Subset(inner, [3, 1])
    assert scene_times(picked) == [FRAMES[3], FRAMES[1]]
    assert scene_times(ConcatDataset([picked, inner])) == [FRAMES[3], FRAMES[1], *FRAMES]
    assert scene_times(RepeatDataset(inner, 2)) == FRAMES * 2
    with pytest.warns(UserWarning, match='samples do not come'):
        share = SceneShare(RepeatDataset(inner, 2))
    assert len(share) == 2 * len(FRAMES)


def test_a_set_that_does_not_tell_is_refused():
    with pytest.raises(ValueError, match=r'list does not tell scene and time.*scene_times\(\)'):
        SceneShare([1, 2])


def test_evaluation_during_training_is_in_order_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr('time.sleep', lambda seconds: None)
    frames = [('ab'[i % 2], 0.25 * i) for i in range(6)]  # in the data set's order no scene would be remembered
    train = NumberedFrames(frames)
    train.flag = np.zeros(6, dtype=np.uint8)
    cfg = Config(
        dict(
            data=dict(
                samples_per_gpu=1, workers_per_gpu=0, test=None, val=dict(type='NumberedFrames', frames=frames),
                val_dataloader=dict(workers_per_gpu=0),
            ),
            optimizer=dict(type='SGD', lr=0.1), optimizer_config=dict(), lr_config=dict(policy='fixed'),
            log_config=dict(interval=1, hooks=[]), checkpoint_config=None, evaluation=dict(interval=1),
            runner=dict(type='EpochBasedRunner', max_epochs=2), workflow=[('train', 1)], work_dir=str(tmp_path), seed=0,
        )
    )  # fmt: skip
    scores = []
    monkeypatch.setattr(
        NumberedFrames, 'evaluate', lambda self, results, **_: scores.append([len(r['seen']) for r in results]) or {}
    )
    train_detector(Remembering(), train, cfg, get_root_logger())
    assert scores == [[1, 1, 2, 2, 3, 3]] * 2
