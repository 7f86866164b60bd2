"""A data set and a detector of a few numbers each: what a training run needs, without nuScenes."""

import random

import numpy as np
import torch
from mmcv.parallel import DataContainer
from mmdet.models import BaseDetector
from mmdet3d.datasets import DATASETS
from mmdet3d.models import DETECTORS
from torch import nn
from torch.utils.data import Dataset


@DATASETS.register_module()
class ToyEngineDataset(Dataset):
    """Sample i is a constant vector plus 'augmentation' from the three random generators that pipelines use.

    Args:
        length: number of samples.
        poison: index of a sample made of NaN.
        log: file that gets one line per drawn sample: worker, index, the three random numbers.
        test_mode: no augmentation.
        rated: the score follows from the predictions instead of being 0.5, so that every evaluation differs.
        labelled: what all samples say of themselves.
    """

    CLASSES = ('car',)

    def __init__(self, length=6, poison=None, log=None, test_mode=False, rated=False, labelled=True):
        self.length, self.poison, self.log, self.test_mode, self.rated = length, poison, log, test_mode, rated
        self.flag = np.zeros(length, dtype=np.uint8)
        self.is_labelled = np.full(length, labelled)

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        noise = np.zeros(3)
        if not self.test_mode:
            noise = np.array([random.random(), np.random.rand(), float(torch.rand(()))])
        if self.log is not None:
            worker = torch.utils.data.get_worker_info()
            with open(self.log, 'a') as file:
                file.write(f'{worker.id if worker else -1} {index} {noise[0]} {noise[1]} {noise[2]}\n')
        img = torch.full((4,), float(index) / self.length)
        img[:3] += torch.from_numpy(noise).float()
        if index == self.poison:
            img[:] = float('nan')
        meta = dict(sample_idx=f'token{index}')
        return dict(img=DataContainer(img, stack=True, pad_dims=None), img_metas=DataContainer(meta, cpu_only=True))

    def evaluate(self, results, metric='bbox', logger=None, **kwargs):
        assert [result['index'] for result in results] == [f'token{i}' for i in range(self.length)]
        return dict(mAP=0.25, NDS=1 / (1 + abs(sum(result['score'] for result in results))) if self.rated else 0.5)

    def format_results(self, results, jsonfile_prefix):
        with open(f'{jsonfile_prefix}.txt', 'w') as file:
            file.write(str(len(results)))
        return file.name, None


@DETECTORS.register_module()
class ToyEngineDetector(BaseDetector):
    """Two linear layers, optionally with batch norm and dropout between them; two loss terms."""

    def __init__(self, width=8, norm=True, dropout=0.5, train_cfg=None, test_cfg=None):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width) if norm else nn.Identity(), nn.ReLU(), nn.Dropout(dropout)
        )
        self.tail = nn.Linear(width, 1)

    def extract_feat(self, img):
        return self.tail(self.body(img))[:, 0]

    def forward(self, img, img_metas, return_loss=True, rescale=False):
        out = self.extract_feat(img)
        if return_loss:
            return dict(loss_fit=(out - 1).pow(2).mean(), loss_size=out.abs().mean())
        return [dict(index=meta['sample_idx'], score=float(score)) for meta, score in zip(img_metas, out)]

    def simple_test(self, img, img_metas, **kwargs):
        raise NotImplementedError

    aug_test = simple_test
