"""A config trained with labels of a share of its scenes: which options say so, and how long it then trains."""

from math import gcd

from data_converter.make_synthetic_nuscenes import settings_of

from mmdet3d_plugin.datasets.labelled_scenes import LabelledScenes
from mmdet3d_plugin.datasets.wrapped import MIXED

from .command_line import as_flags

_ALL = 100  # per cent


def is_mixed(cfg) -> bool:
    """Whether a config (mmcv.Config) trains on labelled and unlabelled scenes."""
    return _outermost(cfg)[1].get('type') == MIXED


def _outermost(cfg):
    """Place and config of the training set inside wrappers that repeat it."""
    place, train = 'data.train', cfg.data.train
    while train.get('type') != MIXED and 'dataset' in train:
        place, train = f'{place}.dataset', train.dataset
    return place, train


class LabelShare:
    """Labels of a percentage of the scenes, in as many iterations as the config has as it is.

    An epoch repeats the labelled samples the more often, the fewer they are, so that there are not more epochs.

    Args:
        cfg (mmcv.Config): A config whose training set is labelled as a whole or says itself which share is.
        percent: Of the training scenes that are labelled.
        synthetic: Flags of the generator of its data.

    Attributes:
        epochs: Of the training.

    Raises:
        ValueError: The config needs unlabelled scenes and there are none, it samples objects of all scenes, or no
            number of passes through the labelled samples has its iterations.
    """

    def __init__(self, cfg, percent: int, synthetic: dict):
        settings = settings_of(['--out-dir', 'unused', *map(str, as_flags(synthetic))]).manifest()['settings']
        self._scenes, self._keyframes = settings['scenes'] - settings['val_scenes'], settings['keyframes']
        self._place, train = _outermost(cfg)
        self._mixed = is_mixed(cfg)
        self._percent, self._own = percent, train.get('scenes' if self._mixed else 'labelled')
        self._check(cfg)
        self.epochs, self._times = self._schedule(cfg)

    def options(self, seed: int) -> list:
        """``--cfg-options`` of the training.

        Args:
            seed: Of the choice of scenes. A teacher and its students share it, and so the labels.
        """
        if self._percent == _ALL and self._own is None:
            return []
        entries = dict(share=self._percent / _ALL, seed=seed, times=self._times)
        if not self._mixed:
            entries['use'] = 'labelled'
        place = f'{self._place}.{"scenes" if self._mixed else "labelled"}'
        return [*(f'{place}.{key}={value}' for key, value in entries.items()), f'runner.max_epochs={self.epochs}']

    def _check(self, cfg):
        if self._mixed and self._percent == _ALL:
            raise ValueError(f'{cfg.filename} trains on unlabelled scenes: with 100 % labels there are none')
        if self._own is not None and self._own.get('share') is None:
            raise ValueError(f'{cfg.filename} lists its labelled scenes: a share of them cannot be chosen')
        if self._percent < _ALL and "'ObjectSample'" in str(cfg.data.train):
            raise ValueError(
                f'{cfg.filename} samples objects from a database of all scenes: with labels of {self._percent} % of '
                f'them, use a config without ObjectSample'
            )

    def _schedule(self, cfg):
        """(epochs, times that each has the labelled samples)."""
        own = self._own or {}
        size, samples = self._labelled_in_batch(cfg), self._samples(self._percent / _ALL)
        before = own.get('times', 1) * self._samples(own.get('share', 1.0))
        iterations = cfg.runner.max_epochs * -(-before // size)
        passes, rest = divmod(iterations * size, samples)
        epochs = gcd(passes, cfg.runner.max_epochs)
        times = passes // max(1, epochs)
        if rest or samples * times % size:
            raise ValueError(
                f'{cfg.filename}: {iterations} iterations are no whole number of passes through the {samples} samples '
                f'of {self._percent} % of {self._scenes} scenes, {size} in a batch: choose another percentage'
            )
        return epochs, times

    def _labelled_in_batch(self, cfg):
        labelled, unlabelled = cfg.data.train.ratio if self._mixed else (1, 0)
        return cfg.data.samples_per_gpu * labelled // (labelled + unlabelled)

    def _samples(self, share):
        return len(LabelledScenes(share=share).names(map(str, range(self._scenes)))) * self._keyframes
