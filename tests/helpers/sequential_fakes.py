"""A data set of numbered frames in scenes, and a detector whose answer is every frame it remembers."""

import os
import pickle
import warnings
from types import SimpleNamespace

import torch
import torch.distributed as dist
from mmcv.parallel import DataContainer

import mmdet3d_plugin  # noqa: F401  first: it prepares the libraries imported below

# isort: split
from mmcv.runner import LogBuffer
from mmdet3d.datasets import DATASETS
from mmdet3d.models import DETECTORS
from torch import nn
from torch.utils.data import Dataset

from dualdistill_runtime.frame_order import FramesOutOfOrder, follows
from mmdet3d_plugin.engine import init_distributed, run_inference, wrap_model
from mmdet3d_plugin.engine.scene_order import DistSceneEvalHook
from mmdet3d_plugin.engine.test import build_test_loader


@DATASETS.register_module()
class NumberedFrames(Dataset):
    """Sample i is frame i of the whole set.

    Args:
        frames: (scene, seconds) of each sample.
    """

    CLASSES = ('car',)

    def __init__(self, frames, test_mode=True):
        self.frames = [tuple(frame) for frame in frames]

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, index):
        scene, time = self.frames[index]
        meta = dict(sample_idx=index, scene_token=scene, timestamp=time)
        img = DataContainer(torch.zeros(1), stack=True, pad_dims=None)
        return dict(img=img, img_metas=DataContainer(meta, cpu_only=True))

    def scene_times(self):
        return self.frames

    def evaluate(self, results, metric='bbox', logger=None):
        """The mean number of remembered frames, once the results are seen to be in order."""
        assert [result['index'] for result in results] == list(range(len(self)))
        return dict(NDS=sum(len(result['seen']) for result in results) / len(results))


@DETECTORS.register_module()
class Remembering(nn.Module):
    """Answers with the frames of the scene that it has seen since it started, the present one last.

    Starts anew where a frame does not follow the one before, with a warning of its own.
    """

    sequential = True

    def __init__(self, train_cfg=None, test_cfg=None):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.reset()

    def reset(self):
        self.seen, self.scene, self.time = [], None, None

    def init_weights(self):
        pass

    def train_step(self, data, optimizer):
        return dict(loss=self.weight**2, log_vars=dict(loss=0.0), num_samples=1)

    def forward(self, img, img_metas, return_loss=True):
        (meta,) = img_metas
        same = meta['scene_token'] == self.scene
        if same and not follows(meta['timestamp'] - self.time):
            warnings.warn('out of order', FramesOutOfOrder, stacklevel=1)
            same = False
        self.seen = [*(self.seen if same else []), meta['sample_idx']]
        self.scene, self.time = meta['scene_token'], meta['timestamp']
        return [dict(index=meta['sample_idx'], seen=self.seen)]


def gloo_predictions(rank, runs, folder):
    """What one process of :func:`torch.multiprocessing.spawn` does: its part of several test runs.

    Args:
        rank: of this process; it takes part in the runs of more processes than that.
        runs: name -> (number of processes, port, config) of each run, in order.
        folder: gets a file ``<name>.pkl`` with the results of two runs of one model, and the score of an evaluation in
            training.
    """
    torch.set_num_threads(1)
    for name, (processes, port, cfg) in runs.items():
        if rank < processes:
            environ = dict(RANK=rank, WORLD_SIZE=processes, MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
            os.environ.update({key: str(value) for key, value in environ.items()})
            init_distributed('pytorch', {})
            try:
                _predict_and_evaluate(rank, cfg, folder / f'{name}.pkl')
            finally:
                dist.destroy_process_group()


def _predict_and_evaluate(rank, cfg, path):
    model = Remembering()
    _, loader = build_test_loader(cfg, distributed=True, model=model)
    both = [run_inference(model, loader, True, str(path.parent)) for _ in range(2)]
    wrapped, log = wrap_model(model, 'cpu', distributed=True), LogBuffer()
    runner = SimpleNamespace(model=wrapped, rank=rank, work_dir=str(path.parent), log_buffer=log, logger=None)
    DistSceneEvalHook(loader)._do_evaluate(runner)
    assert (both[0] is None) == ('NDS' not in log.output) == (rank > 0)
    if rank == 0:
        path.write_bytes(pickle.dumps((*both, log.output['NDS'])))
