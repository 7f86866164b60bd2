"""A teacher on annotated samples: scores by the devkit, and what its detections lie on."""

import copy
import tempfile

import torch
from mmdet.utils import compat_cfg

from ..checkpoints.findings import Finding
from ..engine.preflight import check_annotated
from ..engine.test import build_test_loader, run_inference
from .told_by_detections import box_behaviour, class_behaviour, match_detections


def data_findings(model, state, cfg, samples, min_map):
    """Run a detector over samples of ``data.val``, evenly spaced in time.

    Args:
        model (nn.Module): the detector; gets the weights and goes to the device of the run.
        state (dict): all its weights.
        cfg (mmcv.Config): its config.
        samples (int): about how many samples; all of a smaller set.
        min_map (float): mAP below it is wrong.

    Returns:
        tuple[dict, list[Finding], int]: scores, see ``NuScenesBEVDataset.evaluate``, the verdicts, and the number of
        samples.

    Raises:
        FileNotFoundError: data files are missing.
        ValueError: the data set has no annotations.
    """
    model.load_state_dict(state, strict=False)  # its keys were checked; counters of batches may be missing
    dataset, loader = _loader(cfg, samples, model)
    check_annotated(dataset)
    with tempfile.TemporaryDirectory() as folder:
        results = run_inference(model.eval(), loader, distributed=False, work_dir=folder)
    print()
    metrics = dataset.evaluate(results)
    annotations = [dataset.get_ann_info(index) for index in range(len(dataset))]
    matches = match_detections(
        [result['pts_bbox'] for result in results],
        [(item['gt_bboxes_3d'], torch.as_tensor(item['gt_labels_3d'])) for item in annotations],
    )
    findings = [
        _score_finding(metrics, len(dataset), min_map),
        class_behaviour(matches, dataset.CLASSES),
        box_behaviour(matches),
    ]
    return metrics, findings, len(dataset)


def _loader(cfg, samples, model):
    """Data set and loader of about ``samples`` samples of ``data.val``."""
    cfg = compat_cfg(copy.deepcopy(cfg))
    dataset, loader = build_test_loader(cfg, distributed=False, split='val', model=model)
    interval = len(dataset) // samples
    if interval <= 1:
        return dataset, loader
    cfg.data.val.load_interval = interval
    return build_test_loader(cfg, distributed=False, split='val', model=model)


def _score_finding(metrics, count, min_map):
    shown = f'mAP {metrics["mAP"]:.4f}, NDS {metrics["NDS"]:.4f} on {count} samples'
    if metrics['mAP'] < min_map:
        return Finding('scores', 'wrong', f'{shown}, below {min_map:g}: untrained, or not for these data and classes')
    return Finding('scores', 'ok', shown)
