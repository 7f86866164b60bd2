"""A config trained with labels of a share of its scenes: which options say so, and how long it then trains."""

from data_converter.make_synthetic_nuscenes import settings_of

from mmdet3d_plugin.datasets.labelled_scenes import LabelledScenes

from .command_line import as_flags

_ALL = 100  # per cent


class LabelShare:
    """Labels of a percentage of the scenes, in as many iterations as the config has as it is.

    An epoch goes once through the labelled samples, so it is the shorter the fewer they are, and there are more epochs.

    Args:
        cfg (mmcv.Config): A config whose training set is labelled as a whole or says itself which share is.
        percent: Of the training scenes that are labelled.
        synthetic: Flags of the generator of its data.

    Raises:
        ValueError: The config needs unlabelled scenes and there are none, it samples objects of all scenes, or no
            number of epochs has its iterations.
    """

    def __init__(self, cfg, percent: int, synthetic: dict):
        settings = settings_of(['--out-dir', 'unused', *map(str, as_flags(synthetic))]).manifest()['settings']
        self._scenes, self._keyframes = settings['scenes'] - settings['val_scenes'], settings['keyframes']
        self._place, train = 'data.train', cfg.data.train
        while train.get('type') != 'LabelledAndUnlabelled' and 'dataset' in train:
            self._place, train = f'{self._place}.dataset', train.dataset
        self._mixed = train.get('type') == 'LabelledAndUnlabelled'
        self._percent, self._own = percent, train.get('scenes' if self._mixed else 'labelled')
        self._check(cfg)
        self.epochs = self._epochs(cfg)

    def options(self, seed: int) -> list:
        """``--cfg-options`` of the training.

        Args:
            seed: Of the choice of scenes. A teacher and its students share it, and so the labels.
        """
        if self._percent == _ALL and self._own is None:
            return []
        place = f'{self._place}.{"scenes" if self._mixed else "labelled"}'
        use = [] if self._mixed else [f'{place}.use=labelled']
        return [
            f'{place}.share={self._percent / _ALL}',
            f'{place}.seed={seed}',
            *use,
            f'runner.max_epochs={self.epochs}',
        ]

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

    def _epochs(self, cfg):
        own = 1.0 if self._own is None else self._own.share
        before, now = (self._batches(cfg, share) for share in (own, self._percent / _ALL))
        iterations = cfg.runner.max_epochs * before
        if iterations % now:
            raise ValueError(
                f'{cfg.filename}: {iterations} iterations are no whole number of epochs with labels of '
                f'{self._percent} % of {self._scenes} scenes, {now} iterations each: choose another percentage'
            )
        return iterations // now

    def _batches(self, cfg, share):
        """Iterations of an epoch: every labelled sample once, the last batch filled up."""
        samples = len(LabelledScenes(share=share).names(map(str, range(self._scenes)))) * self._keyframes
        size = cfg.data.samples_per_gpu
        if self._mixed:
            labelled, unlabelled = cfg.data.train.ratio
            size = size * labelled // (labelled + unlabelled)
        return -(-samples // size)
