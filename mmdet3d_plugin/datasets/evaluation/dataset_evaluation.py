"""What a data set over nuScenes info files does with detections: submission file and scores."""

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mmcv.runner import get_dist_info
from mmcv.utils import print_log

from dualdistill_runtime.global_boxes import Keyframes

from ...structures.atomic_file import scratch_folder
from .array_eval import evaluate_boxes
from .backends import BACKENDS, check_agreement, check_backend
from .devkit_files import check_devkit_files, check_truth_files
from .global_boxes import global_boxes
from .nuscenes_eval import devkit_summary, summary_of
from .scores import metrics_table, score_rules, scores_of
from .submission_file import read_submission, write_submission
from .truth_cache import is_prepared, load_truth


class EvaluatedDataset:
    """Evaluation of a data set that has ``data_infos`` of its samples, in order.

    Also used of it: ``ann_file``, ``data_root``, ``version``, ``CLASSES``, ``modality``, ``eval_detection_configs`` and
    ``all_infos()``.
    """

    METRICS = ('bbox', 'mAP', 'NDS')  # names of one and the same evaluation
    BACKENDS = BACKENDS
    score_rules = staticmethod(score_rules)

    @functools.cached_property
    def keyframes(self):
        """Keyframes: tokens and poses of the samples, taken from the infos once, by the first that evaluates."""
        return Keyframes.of(self.data_infos)

    def check_evaluation(self, backend='fast'):
        """Preflight: stop with one clear error if these samples cannot be scored from ``data_root``.

        The first process also prepares what the fast evaluation needs, unless an earlier run has done so.

        Args:
            backend (str): See :meth:`evaluate`.
        """
        check_backend(backend)
        if backend != 'fast':
            check_devkit_files(self.data_root, self.version, self.keyframes.tokens, self.ann_file)
        else:
            check_truth_files(self.data_root, self.version, self.keyframes.tokens, self.ann_file)
        if backend != 'devkit' and get_dist_info()[0] == 0 and not self._is_prepared():
            print_log(f'{self.ann_file}: reading the annotations for the evaluation', logger='root')
            self._truth()

    def format_results(self, results, jsonfile_prefix='outputs/results'):
        """Write detections as a nuScenes submission, ``<jsonfile_prefix>/results_nusc.json``.

        Args:
            results (list[dict]): One per sample, in order: ``dict(pts_bbox=dict(boxes_3d, scores_3d, labels_3d))``
                or the inner dict.
            jsonfile_prefix (str): Folder.

        Returns:
            tuple[str, None]: Path of the file (and, as mmdet3d's interface has it, no temporary folder).
        """
        return self._write(self._global_boxes(results), jsonfile_prefix), None

    def evaluate(self, results, metric='bbox', logger=None, jsonfile_prefix=None, backend='fast'):
        """nuScenes detection scores over the samples and classes of this data set, printed as one table.

        Args:
            results (list[dict]): See :meth:`format_results`.
            metric (str | list[str]): ``bbox``, ``mAP`` or ``NDS``: all the same evaluation.
            logger (logging.Logger | str, optional): Where the table goes; None prints it.
            jsonfile_prefix (str, optional): Folder that keeps the submission file; None keeps nothing.
            backend (str): ``fast``; ``devkit``, the same numbers from the devkit's own code in about forty times the
                time; or ``both``, which stops when they differ by more than 1e-9.

        Returns:
            dict[str, float]: See :func:`scores.scores_of`.
        """
        unknown = {metric} - set(self.METRICS) if isinstance(metric, str) else set(metric) - set(self.METRICS)
        if unknown:
            raise ValueError(f'unknown metric {sorted(unknown)}; known: {", ".join(self.METRICS)}')
        check_backend(backend)
        boxes = self._global_boxes(results)
        path = self._write(boxes, jsonfile_prefix) if jsonfile_prefix else None
        if backend == 'fast' or path:
            return self._report(boxes, path, logger, backend)
        with scratch_folder(tempfile.gettempdir(), 'nuscenes_evaluation') as temporary:
            return self._report(boxes, self._write(boxes, temporary), logger, backend)

    def evaluate_file(self, path, logger=None, backend='fast'):
        """Scores of a submission file for the samples of this data set; the rest as of :meth:`evaluate`.

        Args:
            path (str): ``results_nusc.json``.
        """
        check_backend(backend)
        most = self.eval_detection_configs.max_boxes_per_sample
        boxes = read_submission(path, self.keyframes.tokens.tolist(), most) if backend != 'devkit' else None
        return self._report(boxes, path, logger, backend)

    def _report(self, boxes, path, logger, backend):
        """dict: Scores of boxes, of the file with the same boxes, or of both; the table is printed."""
        summary, config = {}, self.eval_detection_configs
        if backend != 'devkit':
            ego = self.keyframes.ego2global_translation
            summary = summary_of(evaluate_boxes(boxes, self._truth(), ego, config, self.CLASSES))
        if backend != 'fast':
            names = {info['token']: info['gt_names'] for info in self.data_infos}
            devkit = devkit_summary(path, names, self.version, self.data_root, config, self.CLASSES)
            if backend == 'both':
                difference = check_agreement(summary, devkit)
                print_log(f'fast evaluation and devkit agree, largest difference {difference:.1e}', logger=logger)
            summary = devkit
        scores = scores_of(summary, config.mean_ap_weight)
        title = f'nuScenes evaluation of {len(self)} samples of {Path(self.ann_file).name} ({self.version})'
        print_log(f'{title}\n{metrics_table(scores, self.CLASSES)}', logger=logger)
        return scores

    def _global_boxes(self, results):
        if len(results) != len(self):
            raise ValueError(f'{len(results)} results for the {len(self)} samples of {self.ann_file}')
        return global_boxes(results, self.keyframes, self.CLASSES, self.eval_detection_configs.class_range)

    def _write(self, boxes, folder):
        return write_submission(boxes, self.keyframes.tokens.tolist(), self.modality, folder)

    def _is_prepared(self):
        return is_prepared(self.ann_file, self.data_root, self.version)

    def _truth(self):
        """GroundTruth: that of the samples of this data set."""

        def gt_names() -> Mapping:
            return {info['token']: info['gt_names'] for info in self.all_infos()}

        truth = load_truth(self.ann_file, self.data_root, self.version, gt_names)
        return truth.of(self.keyframes.tokens.tolist())
