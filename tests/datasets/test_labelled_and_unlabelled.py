"""Batches of labelled and unlabelled samples: an exact ratio, every sample, one order for any number of processes."""

import copy
from collections import Counter

import numpy as np
import pytest
from mmdet3d.datasets import build_dataset
from torch.utils.data import Dataset

from mmdet3d_plugin.datasets import LabelledAndUnlabelled, NuScenesBEVDataset, SeededCBGSDataset
from mmdet3d_plugin.datasets.ratio_sampler import RatioSampler
from mmdet3d_plugin.datasets.wrapped import first_reader, may_be_unlabelled, wrapped_datasets


class Numbers(Dataset):
    """Samples 0 to ``length``, tens more for each ``first``."""

    def __init__(self, length, labelled, first=0, classes=('car',)):
        self.CLASSES, self.length, self.first = classes, length, first
        self.is_labelled = np.full(length, labelled)

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return self.first + index


def epoch_of(sampler, epoch):
    """(batches, samples) indices of an epoch."""
    sampler.set_epoch(epoch)
    indices = np.array(list(sampler))
    assert len(indices) == len(sampler)
    return indices.reshape(-1, sum(sampler.per_batch))


def test_every_batch_has_the_ratio_and_every_labelled_sample_comes_once():
    sampler = RatioSampler((10, 7), (1, 2), samples_per_gpu=6, processes=1, rank=0, seed=3)
    assert sampler.per_batch == [2, 4] and len(sampler) == 30
    batches = epoch_of(sampler, 0)
    assert (batches[:, :2] < 10).all() and (batches[:, 2:] >= 10).all() and batches.max() == 16
    assert sorted(batches[:, :2].ravel()) == list(range(10))
    counts = Counter(batches[:, 2:].ravel().tolist())  # 20 places for 7 samples: each twice, then six of them
    assert set(counts) == set(range(10, 17)) and sorted(counts.values()) == [2, 3, 3, 3, 3, 3, 3]
    assert epoch_of(sampler, 1).tolist() != batches.tolist()
    assert epoch_of(sampler, 0).tolist() == batches.tolist()
    other = RatioSampler((10, 7), (1, 2), samples_per_gpu=6, processes=1, rank=0, seed=4)
    assert epoch_of(other, 0).tolist() != batches.tolist()


def test_a_large_unlabelled_part_is_gone_through_over_epochs():
    sampler = RatioSampler((4, 22), (1, 1), samples_per_gpu=2, processes=1, rank=0, seed=0)
    seen = np.concatenate([epoch_of(sampler, epoch)[:, 1] for epoch in range(11)]) - 4
    assert sorted(seen[:22]) == sorted(seen[22:44]) == list(range(22))  # two passes in 11 epochs of 4
    assert seen[:22].tolist() != seen[22:].tolist()


def test_the_last_batch_is_filled():
    sampler = RatioSampler((5, 3), (2, 1), samples_per_gpu=3, processes=1, rank=0, seed=0)
    labelled = epoch_of(sampler, 2)[:, :2].ravel().tolist()
    assert len(labelled) == 6 and set(labelled) == set(range(5))


@pytest.mark.parametrize('epoch', [0, 1, 5])
def test_processes_share_the_batches_of_one(epoch):
    alone = epoch_of(RatioSampler((11, 30), (1, 1), 8, processes=1, rank=0, seed=1), epoch)
    shares = [epoch_of(RatioSampler((11, 30), (1, 1), 4, processes=2, rank=rank, seed=1), epoch) for rank in (0, 1)]
    assert alone.shape == (3, 8) and all(share.shape == (3, 4) for share in shares)
    together = np.concatenate([share[:, :2] for share in shares] + [share[:, 2:] for share in shares], axis=1)
    assert together.tolist() == alone.tolist()


def test_batches_that_cannot_be():
    with pytest.raises(ValueError, match=r'a batch of 4 samples cannot have the ratio 1:2: make .* a multiple of 3'):
        RatioSampler((10, 7), (1, 2), 4, 1, 0, 0)
    with pytest.raises(ValueError, match='both sources of a batch need samples, got 10 and 0'):
        RatioSampler((10, 0), (1, 1), 4, 1, 0, 0)


def test_the_parts_follow_each_other():
    dataset = LabelledAndUnlabelled(Numbers(3, True), Numbers(4, False, first=10), ratio=[1, 3])
    assert len(dataset) == len(dataset.flag) == 7 and dataset.CLASSES == ('car',)
    assert [dataset[index] for index in range(7)] == [0, 1, 2, 10, 11, 12, 13]
    sampler = dataset.make_sampler(samples_per_gpu=4, processes=2, rank=1, seed=5)
    assert sampler.sizes == (3, 4) and sampler.per_batch == [1, 3] and (sampler.rank, sampler.seed) == (1, 5)


@pytest.mark.parametrize(
    'parts, options, message',
    [
        ((Numbers(3, True), Numbers(4, False, classes=('bus',))), {}, 'unlabelled one .*bus.*: make names'),
        ((Numbers(3, True), Numbers(4, True)), {}, "4 samples of the unlabelled part are labelled: .*use='unlabelled'"),
        ((Numbers(3, False), Numbers(4, False)), {}, "3 samples of the labelled part are unlabelled: .*use='labelled'"),
        ((Numbers(3, True), Numbers(4, False)), dict(ratio=(1, 0)), 'two whole numbers of at least 1'),
        ((Numbers(3, True), Numbers(4, False)), dict(ratio=(1,)), 'two whole numbers of at least 1'),
    ],
)
def test_parts_that_do_not_fit(parts, options, message):
    with pytest.raises(ValueError, match=message):
        LabelledAndUnlabelled(*parts, **options)


@pytest.fixture
def source(info_files, tables_root):
    """Config of a data set of 5 samples of scene-0061 and 13 of scene-0553."""
    return dict(type='NuScenesBEVDataset', ann_file=info_files['train', 'base'], data_root=str(tables_root))


def test_scenes_of_one_data_set(source):
    balanced = dict(type='SeededCBGSDataset', dataset=source)
    cfg = dict(type='LabelledAndUnlabelled', labelled=balanced, scenes=dict(scenes=['scene-0061']))
    before = copy.deepcopy(cfg)
    dataset = build_dataset(cfg)
    assert cfg == before
    labelled, unlabelled = dataset.datasets
    assert isinstance(labelled, SeededCBGSDataset) and len(labelled.dataset) == 5 and labelled.dataset.is_labelled.all()
    assert isinstance(unlabelled, NuScenesBEVDataset) and len(unlabelled) == 13 and not unlabelled.is_labelled.any()
    assert may_be_unlabelled(cfg) and first_reader(cfg) == source


def test_several_unlabelled_data_sets(source):
    other = dict(source, labelled=dict(scenes=['scene-0061'], use='unlabelled'))
    nothing = dict(source, labelled=dict(scenes=[]))
    balanced = dict(type='SeededCBGSDataset', dataset=source)
    dataset = build_dataset(
        dict(type='LabelledAndUnlabelled', labelled=source, unlabelled=[other, nothing], ratio=(1, 2))
    )
    assert [len(part) for part in dataset.datasets] == [18, 13 + 18]
    replaced = dict(labelled=dict(scenes=['scene-0061'], use='unlabelled'))  # the rest as in the labelled part
    again = build_dataset(dict(type='LabelledAndUnlabelled', labelled=balanced, unlabelled=[replaced, nothing]))
    assert [len(part) for part in again.datasets[1].datasets] == [13, 18]
    with pytest.raises(ValueError, match='18 samples of the unlabelled part are labelled'):
        build_dataset(dict(type='LabelledAndUnlabelled', labelled=source, unlabelled=[other, source]))
    with pytest.raises(ValueError, match=r'nothing is unlabelled, give it scenes=dict\(share=...\)'):
        build_dataset(dict(type='LabelledAndUnlabelled', labelled=source))


def test_the_choice_of_the_labelled_part_is_not_that_of_the_unlabelled_one(source):
    """Else most of the unlabelled samples would be gone, and the others repeated."""
    labelled = dict(source, labelled=dict(scenes=['scene-0061'], use='labelled', times=3))
    cfg = dict(type='LabelledAndUnlabelled', labelled=labelled, unlabelled=dict(ann_file='sweeps.pkl'))
    assert wrapped_datasets(cfg)['unlabelled'] == dict(source, ann_file='sweeps.pkl')
    everything = build_dataset(dict(cfg, unlabelled=dict(info_kind='base', labelled=dict(scenes=[]))))
    assert [len(part) for part in everything.datasets] == [15, 18]


def test_scenes_say_no_use(source):
    scenes = dict(scenes=['scene-0061'], use='labelled')
    with pytest.raises(ValueError, match='scenes takes no `use`'):
        build_dataset(dict(type='LabelledAndUnlabelled', labelled=source, scenes=scenes))


def test_what_configs_hold(source):
    unlabelled = dict(source, labelled=dict(scenes=[]))
    balanced = dict(type='SeededCBGSDataset', dataset=source)
    cfg = dict(type='LabelledAndUnlabelled', labelled=balanced, unlabelled=unlabelled)
    assert wrapped_datasets(cfg) == dict(labelled=balanced, unlabelled=unlabelled)
    assert wrapped_datasets(unlabelled) == {}  # an entry that is no data set
    assert may_be_unlabelled(cfg) and may_be_unlabelled(unlabelled) and not may_be_unlabelled(balanced)
    assert may_be_unlabelled(dict(type='RepeatDataset', dataset=unlabelled))
    assert may_be_unlabelled(dict(source, info_kind='unlabelled'))
    assert not may_be_unlabelled(dict(source, labelled=dict(share=0.2, use='labelled')))
    assert not may_be_unlabelled(None)
