"""nuScenes keyframes with cameras, previous camera frames, LiDAR sweeps and boxes."""

import os

import numpy as np
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.datasets import NuScenesDataset
from mmdet3d.datasets.builder import DATASETS
from mmdet3d.datasets.pipelines import ObjectNameFilter
from mmdet3d.utils import get_root_logger

from dualdistill_runtime.detection_classes import DETECTION_CLASSES
from dualdistill_runtime.poses import pose_matrix
from dualdistill_runtime.scene_order import scene_order, scene_starts

from ..structures.labelled import KEY as LABELLED_KEY
from .can_bus import report_can_bus
from .ego_motion import poses_by_scene
from .evaluation import EvaluatedDataset
from .infos.info_io import load_infos, need_columns
from .labelled_scenes import LabelledScenes, choose_samples
from .lidar_file import check_lidar_files
from .packed_infos import PackedInfos
from .sample_files import check_files, chosen_samples, file_records, report_virtual_files
from .training_objects import check_objects_left, classes_seen, explain_failed_tries

# Fruitless tries to replace a sample: first the info file is looked at, which tells of a wrong range or unit in
# seconds. Where only one sample in fifty keeps an object, a thousand tries fail once in a billion times.
_TRIES_BEFORE_DOUBT, _MOST_TRIES = 30, 1000


@DATASETS.register_module()
class NuScenesBEVDataset(EvaluatedDataset, NuScenesDataset):
    """Data set over an info file of ``tools/create_data.py`` (base) or ``prepare_nuscenes_for_bevdet4d.py`` (4d).

    Boxes, velocities and sensor poses are in the keyframe's LIDAR_TOP frame (nuScenes axes: x right, y forward, z up;
    yaw counter-clockwise from x). Velocities are absolute, in m/s; unknown ones are NaN, which :class:`BEVCenterHead`
    leaves out of its loss (mmdet3d's data set makes them zero: standing).

    Args:
        ann_file (str): Info file. Its paths are relative to ``data_root``.
        data_root (str): nuScenes data root.
        pipeline (list[dict], optional): Pipeline steps.
        classes (Sequence[str] | str, optional): Class names, in label order, or a text file with one a line; default:
            all ten in the order of the detection tasks.
        modality (dict, optional): ``use_camera``, ``use_lidar``, ... as the submission declares them; those left out
            are False. Default: both camera and LiDAR.
        info_kind (str, optional): ``base``, ``4d`` or ``unlabelled`` to refuse other kinds of info files.
        load_interval (int): Keep every n-th sample.
        with_velocity (bool): Boxes with 9 numbers (vx, vy last) instead of 7.
        filter_empty_gt (bool): In training, replace samples without a box of ``classes`` by others.
        use_valid_flag (bool): Train on boxes with at least one LiDAR or radar point; else one LiDAR point.
        test_mode (bool): No annotations in the items.
        eval_version (str): Name of the devkit's evaluation config.
        labelled (dict, optional): Which scenes are labelled, see :class:`LabelledScenes`; default: all of them.

    Raises:
        FileNotFoundError, InfoFileError: See :func:`infos.info_io.load_infos`.
        ValueError: Unknown or repeated class name; training on infos without a single object; a pipeline that wants
            other classes or a camera that the infos do not have.
    """

    CLASSES = DETECTION_CLASSES

    def __init__(
        self,
        ann_file,
        data_root,
        pipeline=None,
        classes=None,
        modality=None,
        info_kind=None,
        load_interval=1,
        with_velocity=True,
        filter_empty_gt=True,
        use_valid_flag=False,
        test_mode=False,
        eval_version='detection_cvpr_2019',
        labelled=None,
    ):
        self._choice = None if labelled is None else LabelledScenes.of(labelled)
        self.info_kind = info_kind
        off = dict.fromkeys(('use_camera', 'use_lidar', 'use_radar', 'use_map', 'use_external'), False)
        if not os.path.isfile(ann_file):
            load_infos(ann_file, info_kind)  # raises, with the command that makes the file
        super().__init__(
            ann_file=ann_file,
            pipeline=pipeline,
            data_root=data_root,
            classes=classes,
            load_interval=load_interval,
            with_velocity=with_velocity,
            modality={**off, **(modality or dict(use_camera=True, use_lidar=True))},
            filter_empty_gt=filter_empty_gt,
            test_mode=test_mode,
            eval_version=eval_version,
            use_valid_flag=use_valid_flag,
        )
        self._check_pipeline()
        self._num_earlier = max((getattr(step, 'earlier_keyframes', 0) for step in self._steps), default=0)

    @property
    def _steps(self):
        """list: steps of the pipeline; mmdet3d sets none up for a data set without."""
        return self.pipeline.transforms if hasattr(self, 'pipeline') else []

    @classmethod
    def get_classes(cls, classes=None):
        """tuple[str]: Class names of a list or a text file, checked; without any all ten."""
        if isinstance(classes, str) and not os.path.isfile(classes):
            raise ValueError(f'classes={classes!r}: no such file; give a list of names, or a text file with one a line')
        names = tuple(filter(None, map(str.strip, super().get_classes(classes))))
        unknown = sorted(set(names) - set(cls.CLASSES))
        if unknown:
            raise ValueError(f'not nuScenes detection classes: {unknown}; known: {cls.CLASSES}')
        if not names or len(set(names)) < len(names):
            raise ValueError(f'classes must name at least one class, and each once, got {list(names)}')
        return names

    def _check_pipeline(self):
        """Refuse a pipeline for other classes, or for cameras that the infos do not have."""
        for step in self._steps:
            if isinstance(step, ObjectNameFilter) and tuple(step.classes) != self.CLASSES:
                raise ValueError(
                    f'{self.ann_file}: ObjectNameFilter keeps {list(step.classes)}, but the data set has the classes '
                    f'{list(self.CLASSES)}: make names and order the same'
                )
            absent = [name for name in getattr(step, 'wanted_cameras', ()) if name not in self.cameras]
            if absent:
                raise ValueError(
                    f'{self.ann_file}: {type(step).__name__} wants {", ".join(absent)}, but the infos have the cameras '
                    f'{", ".join(self.cameras)}: change `cameras` in the config, or make the infos again with --cameras'
                )

    def load_annotations(self, ann_file):
        """Packed infos, scene after scene in order of time."""
        ann_file.close()  # the parent's open handle of self.ann_file
        data = load_infos(self.ann_file, self.info_kind)
        self.metadata = data['metadata']
        self.version = self.metadata['version']
        infos = self._packed(data['infos'])
        if not len(infos):
            raise ValueError(f'{self.ann_file} holds no samples')
        columns = need_columns(self.ann_file, infos)
        self._poses = poses_by_scene(columns)
        scenes = np.array(columns.scene_tokens)[columns.scene]
        infos = infos.take(scene_order(scenes, columns.timestamp)[:: self.load_interval])
        self.cameras = tuple(self.metadata.get('cameras') or infos[0].get('cams', ()))
        columns = infos.columns
        scenes = [columns.scene_names[number] or columns.scene_tokens[number] for number in columns.scene.tolist()]
        kept, self.is_labelled = choose_samples(self._choice, scenes, self.ann_file, self.metadata['kind'])
        infos = infos.take(kept)
        self._scene_starts = scene_starts(infos.columns.scene, infos.columns.timestamp)
        self._has_class = classes_seen(self, infos.columns, self.is_labelled)
        return infos

    def _packed(self, infos):
        """PackedInfos: Of the file, or of a pickle without an index, which each process packs for itself."""
        if not isinstance(infos, PackedInfos):
            get_root_logger().warning(
                f'{self.ann_file} has no index: each process loads and packs all of it, in gigabytes and minutes if it '
                f'is large. Write it anew once: python tools/data_converter/pack_infos.py {self.ann_file}'
            )
        return PackedInfos.of(infos)

    def all_infos(self):
        """list[dict]: Infos of the whole file, whatever ``load_interval`` leaves of them; read anew."""
        return load_infos(self.ann_file, self.info_kind)['infos']

    def _seen(self, info):
        """(N,) bool: boxes that training sees."""
        return info['valid_flag'] if self.use_valid_flag else info['num_lidar_pts'] > 0

    def get_cat_ids(self, idx):
        """list[int]: Labels present in a sample, for class-balanced sampling."""
        return np.flatnonzero(self._has_class[idx]).tolist()

    def scene_times(self):
        """list[tuple[str, float]]: Scene token and time (s) of every sample, for detectors that remember frames."""
        columns = self.data_infos.columns
        return [(columns.scene_tokens[s], t / 1e6) for s, t in zip(columns.scene.tolist(), columns.timestamp.tolist())]

    def get_data_info(self, index):
        """Everything about a sample that a pipeline starts from.

        Returns:
            dict: ``sample_idx`` and ``scene_token`` (str), ``timestamp`` (s), ``pts_filename``, ``sweeps`` (list of
            dicts, timestamps in us as mmdet3d's loader wants them), ``cameras`` (names of the whole data set's),
            ``cams`` (name -> dict), ``prev`` (list, nearest first, of dicts with ``timestamp`` in us and ``cams``;
            empty for base infos), ``lidar2ego`` and ``ego2global`` ((4, 4) float64), ``scene_poses`` (of all keyframes
            of its scene, :class:`ScenePoses`), ``data_root`` and, unless ``test_mode``, ``ann_info``. Paths include the
            data root. A sample without labels also has ``labelled``, False.

            Only when a step of the pipeline asks for them, by an attribute ``earlier_keyframes`` (a number), there are
            also ``earlier_keyframes``: up to that many keyframes before this one in the data set, of its scene, newest
            first: dicts of ``sample_idx``, ``timestamp`` (s), ``cams``, ``lidar2ego`` and ``ego2global``.
        """
        info = self.data_infos[index]  # a fresh copy: it may be changed
        self._join_paths(file_records(info))
        item = dict(
            **_keyframe(info),
            scene_token=info['scene_token'],
            pts_filename=os.path.join(self.data_root, info['lidar_path']),
            sweeps=info['sweeps'],
            cameras=self.cameras,
            prev=info.get('prev', []),
            scene_poses=self._poses[info['scene_token']],
            data_root=self.data_root,
        )
        if self._num_earlier:
            item['earlier_keyframes'] = self._earlier_keyframes(index)
        if not self.test_mode:
            item['ann_info'] = self._annotations(index, info)
        if not self.is_labelled[index]:
            item[LABELLED_KEY] = False
        return item

    def _earlier_keyframes(self, index):
        """list[dict]: see :meth:`get_data_info`."""
        index %= len(self.data_infos)
        first = max(self._scene_starts[index], index - self._num_earlier)
        infos = [self.data_infos[i] for i in range(index - 1, first - 1, -1)]
        for info in infos:
            self._join_paths(info['cams'].values())
        return [_keyframe(info) for info in infos]

    def _join_paths(self, records):
        """Put the data root before the paths of file records."""
        for record in records:
            record['data_path'] = os.path.join(self.data_root, record['data_path'])

    def __getitem__(self, index):
        """Item of a pipeline. In training, one that the pipeline leaves without an object is replaced by another.

        Raises:
            NoObjectsError: Every sample of a thousand has lost its objects, or the info file shows earlier that all do.
        """
        if self.test_mode:
            return self.prepare_test_data(index)
        tried = []
        while True:
            item = self.prepare_train_data(index)
            if item is not None:
                return item
            if not self._is_empty(index):
                tried.append(index)
                if len(tried) == _TRIES_BEFORE_DOUBT:
                    check_objects_left(self)
                if len(tried) == _MOST_TRIES:
                    raise explain_failed_tries(self, tried)
            index = self._rand_another(index)

    def _is_empty(self, index):
        """bool: whether a sample is replaced because its infos have no object of ``CLASSES`` to train on."""
        return self.filter_empty_gt and self.is_labelled[index] and not self._has_class[index].any()

    def prepare_train_data(self, index):
        """Processed item; None, before any file is read, for a sample without an object of ``CLASSES`` to train on."""
        if not self.is_labelled[index]:
            return self.prepare_test_data(index)
        return None if self._is_empty(index) else super().prepare_train_data(index)

    def get_ann_info(self, index):
        """dict: ``gt_bboxes_3d`` (velocity NaN where unknown), ``gt_labels_3d`` (int64, -1: not in ``CLASSES``) and
        ``gt_names`` of a sample; all empty for one without labels."""
        return self._annotations(index, self.data_infos[index])

    def _annotations(self, index, info):
        """dict: see :meth:`get_ann_info`. The parent's method makes unknown velocities zero, and unpacks the info."""
        seen = self._seen(info) & self.is_labelled[index]
        names = info['gt_names'][seen]
        boxes = info['gt_boxes'][seen]
        if self.with_velocity:
            boxes = np.concatenate([boxes, info['gt_velocity'][seen]], axis=1)
        boxes = LiDARInstance3DBoxes(boxes, box_dim=boxes.shape[1], origin=(0.5, 0.5, 0.5))
        return dict(
            gt_bboxes_3d=boxes.convert_to(self.box_mode_3d),
            gt_labels_3d=np.array([self.cat2id.get(name, -1) for name in names], dtype=np.int64),
            gt_names=names,
        )

    def check_files(self, samples='spot', seed=0):
        """Preflight: stop with one clear error if files of the samples are missing, or nothing is left to train on.

        ``samples='spot'`` checks the first, the last and eight random ones (``seed``), ``'all'`` every one. For a
        pipeline that reads points, the LiDAR files of these keyframes are read. For a pipeline that reads virtual
        points, all sweeps without them are counted and the count is logged.
        """
        use_lidar = self.modality['use_lidar'] or not self.test_mode  # camera models train with LiDAR depth
        check_files(self.data_infos, self.data_root, samples, use_lidar, self.modality['use_camera'], seed)
        if hasattr(self, 'pipeline') and not self.test_mode:
            check_objects_left(self)
        if any(getattr(step, 'reads_lidar', False) for step in self._steps):
            check_lidar_files(self.data_infos, chosen_samples(len(self), samples, seed), self.data_root)
        if any(getattr(step, 'reads_virtual_points', False) for step in self._steps):
            report_virtual_files(self.data_infos, self.data_root)
        if any(getattr(step, 'reads_can_bus', False) for step in self._steps):
            report_can_bus((poses.name for poses in self._poses.values()), self.data_root)


def _keyframe(info):
    """dict: what an item and an earlier keyframe have in common, see :meth:`NuScenesBEVDataset.get_data_info`."""
    return dict(
        sample_idx=info['token'],
        timestamp=info['timestamp'] / 1e6,
        cams=info['cams'],
        lidar2ego=pose_matrix(info['lidar2ego_translation'], info['lidar2ego_rotation']),
        ego2global=pose_matrix(info['ego2global_translation'], info['ego2global_rotation']),
    )
