"""Real moments as inputs of a student's graph, one after the other, as quantisation wants them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .detector import Detector
from .info_frames import InfoFile


def calibration_feeds(detector: Detector, samples: InfoFile, count: int) -> Iterator[dict[str, np.ndarray]]:
    """Inputs for moments that are evenly spread over the samples, each without a moment before it.

    Args:
        detector: Makes the inputs.
        samples: Of the training split: what is measured must not be chosen by.
        count: Moments; all when there are fewer.
    """
    chosen = set(np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int).tolist())
    for number, sample in enumerate(samples):
        if number in chosen:
            images, rig = detector.images(sample.current)
            feed = detector.feed(images[None], [rig], [sample.current], [None])
            yield {name: feed[name] for name in detector.model.input_shapes}
