"""What is looked at before hours of work start."""

from __future__ import annotations

from torch import nn
from torch.utils.data import Dataset


def check_data(dataset: Dataset) -> None:
    """Look for the files of some samples of a data set, if it knows how to.

    Args:
        dataset: Its ``check_files()`` is called when it has one; else those of the data sets that it wraps,
            as mmdet's RepeatDataset and ConcatDataset do.

    Raises:
        FileNotFoundError: Naming the missing files.
        ValueError: Files are damaged, or there is nothing to train on.
    """
    if hasattr(dataset, 'check_files'):
        dataset.check_files()
        return
    inner = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', [])
    for wrapped in inner:
        check_data(wrapped)


def check_classes(model: nn.Module, dataset: Dataset) -> None:
    """Refuse a data set whose labels a detector's head would take for other classes.

    Args:
        model: Detector, or the distiller of one; looked at when it has a ``head``.
        dataset: Looked at when it has ``CLASSES``.

    Raises:
        ValueError: Names or their order differ; the message has both sides.
    """
    head = getattr(model, 'head', None)
    classes = getattr(dataset, 'CLASSES', None)
    if head is None or classes is None:
        return
    of_head, of_data = head.classes, list(classes)
    if of_head != of_data:
        raise ValueError(
            f'the data set has the classes {of_data}, the detection head {of_head}: make names and order the same, in '
            f'`classes` and in the class_names of the pipeline and of the tasks'
        )


def check_annotated(dataset: Dataset) -> None:
    """Refuse to evaluate a data set whose annotations nobody has.

    Args:
        dataset: Its ``version`` names the nuScenes tables, when it has one.

    Raises:
        ValueError: The version is a test set's.
    """
    version = getattr(dataset, 'version', None) or ''
    if version.endswith('test'):
        raise ValueError(
            f'{version} has no annotations to evaluate against: use --format-only, which writes the submission file'
        )


def check_evaluation_data(dataset: Dataset, backend: str | None = None) -> None:
    """Refuse to evaluate a data set that cannot be scored: no annotations, or files of the evaluation missing.

    Args:
        dataset: Its ``check_evaluation()`` is called when it has one, see :func:`check_annotated`.
        backend: Given to it, if the data set has several ``BACKENDS`` and one is wanted.

    Raises:
        ValueError: No annotations, or tables that do not fit the samples.
        FileNotFoundError: Naming the missing files.
    """
    check_annotated(dataset)
    if hasattr(dataset, 'check_evaluation'):
        wanted = {} if backend is None or not hasattr(dataset, 'BACKENDS') else dict(backend=backend)
        dataset.check_evaluation(**wanted)
