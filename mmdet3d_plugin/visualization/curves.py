"""Training curves of one or several runs, from mmcv's JSON logs."""

import json
import re
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Panel title -> the logged terms it sums up. A loss term that fits none gets a panel of its own.
LOSS_PANELS = {
    'loss (all terms)': r'^loss$',
    'heatmaps': r'^task\d+\.loss_heatmap$',
    'classes of queries': r'^(d\d+\.)?loss_cls$',
    'boxes': r'^((task|d)\d+\.)?loss_bbox$',
    'depth': r'^loss_depth$',
    'feature distillation': r'^distill\..*loss_\w+$',
    'response distillation': r'^crd\..*loss_\w+$',
}
METRIC_PANELS = ('mAP', 'NDS')
LEARNING_RATE = 'learning rate'


def read_log(path):
    """Read one ``*.log.json``; lines that are not JSON objects (a run cut off while writing) are left out.

    Returns:
        list[dict]: Records with a ``mode`` of ``train`` or ``val``, in order.
    """
    records = []
    for line in Path(path).read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and record.get('mode') in ('train', 'val'):
            records.append(record)
    return records


def read_run(work_dir):
    """Read every log of a work dir, oldest first. Epochs that a resumed run repeated are taken from the later log.

    Raises:
        FileNotFoundError: No ``*.log.json`` in the folder.
    """
    paths = sorted(Path(work_dir).glob('*.log.json'))
    if not paths:
        raise FileNotFoundError(f'no *.log.json in {work_dir}: not the work dir of a training')
    records = []
    for path in paths:
        newer = read_log(path)
        start = min((_position(record) for record in newer), default=(np.inf, 0))
        records = [record for record in records if _position(record) < start] + newer
    return records


def _position(record):
    """Epoch and iteration; a validation comes after every iteration of its epoch."""
    return record['epoch'], record['iter'] if record['mode'] == 'train' else np.inf


def panels(records):
    """Series to plot.

    Args:
        records (list[dict]): See :func:`read_run`.

    Returns:
        dict[str, tuple[np.ndarray, np.ndarray]]: Panel title -> epochs done (float) and value. An epoch is taken to be
        as long as the largest iteration logged.
    """
    train = [record for record in records if record['mode'] == 'train']
    length = max((record['iter'] for record in train), default=1)
    series = {}
    for record in train:
        epoch = record['epoch'] - 1 + record['iter'] / length
        for title, value in _train_values(record).items():
            series.setdefault(title, []).append((epoch, value))
    for record in records:
        for name in METRIC_PANELS:
            if record['mode'] == 'val' and name in record:
                series.setdefault(f'val {name}', []).append((record['epoch'], record[name]))
    return {title: tuple(np.array(points, dtype=np.float64).T) for title, points in series.items()}


def loss_terms(record):
    """dict[str, float]: The losses of one training record by name, weighted as trained on, their sum ``loss`` too."""
    return {key: float(value) for key, value in record.items() if re.search(r'(^|[._])loss(_|$)', key)}


def _train_values(record):
    """Panel values of one training record."""
    values = {}
    for key, value in loss_terms(record).items():
        title = next((title for title, pattern in LOSS_PANELS.items() if re.search(pattern, key)), key)
        values[title] = values.get(title, 0.0) + value
    rate = record.get('lr')
    if rate is not None:
        values[LEARNING_RATE] = max(rate.values()) if isinstance(rate, dict) else rate
    return values


def draw_curves(runs, columns=3, panel_size=(4.2, 2.8), dpi=100):
    """Plot the panels of several runs over each other.

    Args:
        runs (dict[str, list[dict]]): Name -> records of :func:`read_run`.
        columns (int): Panels side by side.
        panel_size (tuple[float, float]): Inches.
        dpi (int): Pixels per inch.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.

    Raises:
        ValueError: No run has anything to plot.
    """
    series = {name: panels(records) for name, records in runs.items()}
    titles = _ordered({title for panel in series.values() for title in panel})
    if not titles:
        raise ValueError(f'nothing to plot: the logs of {", ".join(runs)} hold no training records')
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = Figure(figsize=(panel_size[0] * columns, panel_size[1] * rows + 0.4), dpi=dpi, layout='constrained')
    axes = np.ravel(figure.subplots(rows, columns))
    for number, title in enumerate(titles):
        for index, (name, panel) in enumerate(series.items()):
            if title in panel:
                _plot(axes[number], *panel[title], label=name, colour=f'C{index % 10}', marker=title.startswith('val'))
        axes[number].set_title(title, fontsize=10)
        axes[number].set_xlabel('epoch', fontsize=8)
        axes[number].tick_params(labelsize=8)
        axes[number].grid(alpha=0.3)
    for axis in axes[len(titles) :]:
        axis.set_axis_off()
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc='outside upper center', ncols=min(6, len(handles)), fontsize=9)
    return to_rgb(figure)


def to_rgb(figure):
    """np.ndarray: A matplotlib figure as (H, W, 3) uint8 RGB, without any window."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _plot(axis, epochs, values, label, colour, marker):
    axis.plot(epochs, values, label=label, color=colour, linewidth=1.4, marker='o' if marker else None, markersize=4)


def _ordered(titles):
    """Total loss, learning rate, metrics, known loss terms, others by name."""
    known = [*LOSS_PANELS][:1] + [LEARNING_RATE, *(f'val {name}' for name in METRIC_PANELS)] + [*LOSS_PANELS][1:]
    return [title for title in known if title in titles] + sorted(set(titles) - set(known))
