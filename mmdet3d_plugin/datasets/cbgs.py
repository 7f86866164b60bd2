"""Class-balanced sampling that survives absent classes and does not depend on the order of random draws elsewhere."""

import numpy as np
from mmdet3d.datasets import build_dataset
from mmdet3d.datasets.builder import DATASETS
from mmdet3d.datasets.dataset_wrappers import CBGSDataset


@DATASETS.register_module()
class SeededCBGSDataset(CBGSDataset):
    """Class-balanced grouping and sampling (CBGS, arXiv 1908.09492) with its own random generator.

    Draws samples with replacement until each class is in the same share of them. Against mmdet3d's wrapper: the draw
    comes from ``seed`` alone, so every process of a distributed run and every resumed run holds the same list; and a
    class that no sample has (a partial data set) is left out of the balance instead of ending in a division by zero.
    Samples without labels are of no class: each comes once, beside the draws.

    Args:
        dataset (dict | Dataset): Data set to wrap, or its config.
        seed (int): Seed of the draw.
    """

    def __init__(self, dataset, seed=0):
        self.seed = seed
        super().__init__(build_dataset(dataset) if isinstance(dataset, dict) else dataset)

    def _get_sample_indices(self):
        """list[int]: Indices into the wrapped data set, one per item of this one."""
        samples_of_class = {label: [] for label in self.cat2id.values()}
        for index in range(len(self.dataset)):
            for label in self.dataset.get_cat_ids(index):
                samples_of_class[label].append(index)
        present = [samples for samples in samples_of_class.values() if samples]
        if not present:
            raise ValueError(f'no sample of {self.dataset.ann_file} has an object of any of {list(self.CLASSES)}')
        # As in the paper's released sampler: each class ends up with total / (number of classes) draws.
        draws = int(sum(map(len, present)) / len(present))
        rng = np.random.default_rng(self.seed)
        drawn = [int(index) for samples in present for index in rng.choice(samples, draws)]
        return drawn + np.flatnonzero(~np.asarray(getattr(self.dataset, 'is_labelled', True))).tolist()

    def check_files(self, samples='spot', seed=0):
        """Preflight of the wrapped data set, see :meth:`NuScenesBEVDataset.check_files`."""
        self.dataset.check_files(samples, seed)
