"""The studies of tools/ablation.py: what each compares, on which data, and where its files lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..quickstart_data import BEVFORMER_SYNTHETIC, SYNTHETIC


@dataclass(frozen=True)
class Study:
    """Configs to compare, the generator's flags, and where data and results lie unless the user says otherwise.

    Attributes:
        configs: Name -> config file.
        baseline: Name of the config that the others are compared with.
        synthetic: Flags of the data generator, without dashes.
        data_root, out_dir: Generated data, results.
        database: Some config samples objects.
        options: More ``--cfg-options`` of every training and evaluation.
        evaluate_on: Data root and flags of a set only to evaluate on; None takes the validation split of the data.
        link_frames: Some config wants the info files of two-frame students.
        labels: Percentages of the training scenes that are labelled, each a comparison of its own; None: what the
            configs say, and the user cannot choose.
    """

    configs: dict
    baseline: str
    synthetic: dict
    data_root: Path
    out_dir: Path
    database: bool = False
    options: tuple = ()
    evaluate_on: Optional[tuple] = None
    link_frames: bool = True
    labels: Optional[tuple] = None

    def at(self, chosen: dict, percent: Optional[int]) -> dict:
        """Those of the chosen configs that make sense with labels of so many scenes: with all labels, those alone that
        want no others."""
        from ..config_file import read_config
        from ..labels import is_mixed

        if percent != 100:
            return dict(chosen)
        return {name: file for name, file in chosen.items() if not is_mixed(read_config(file))}


def _files(folder, *names):
    return {name: f'configs/{folder}/{name}.py' for name in names}


# More scenes to evaluate on than the quick start has: configs differ by little.
_EVALUATION = (Path('data/ablation_evaluation'), {**SYNTHETIC, 'seed': 1, 'scenes': 101, 'val-scenes': 100})
# All parts of the method, on the quick start's data, which are not made twice.
METHOD = Study(
    configs=_files(
        'ablation', 'baseline', 'distillbev', 'dualdistill', 'aoa_off', 'crd_off', 'single_level', 'uniform_weights'
    ),
    baseline='baseline',
    synthetic=SYNTHETIC,
    data_root=Path('data/quickstart'),
    out_dir=Path('outputs/ablation'),
    evaluate_on=_EVALUATION,
)
# What a teacher is worth on scenes that nobody has labelled, beside other uses of them. All go on from one student.
UNLABELLED = Study(
    configs=_files(
        'unlabelled',
        'labelled_student',
        'labelled_only',
        'distillbev_labelled',
        'dualdistill_labelled',
        'depth_on_all',
        'pseudo_labels',
        'distillbev_unlabelled',
        'dualdistill_unlabelled',
        'dualdistill_pseudo_labels',
    ),
    baseline='labelled_only',
    synthetic=SYNTHETIC,
    data_root=Path('data/quickstart'),
    out_dir=Path('outputs/ablation_unlabelled'),
    evaluate_on=_EVALUATION,
    labels=(10, 20, 100),
)
# The same question to the second family, whose teacher is LidarFormer.
UNLABELLED_BEVFORMER = Study(
    configs=_files(
        'unlabelled',
        'bevformer_labelled_student',
        'bevformer_labelled_only',
        'bevformer_pseudo_labels',
        'bevformer_unlabelled',
        'bevformer_unlabelled_pseudo_labels',
    ),
    baseline='bevformer_labelled_only',
    synthetic=BEVFORMER_SYNTHETIC,
    data_root=Path('data/quickstart_bevformer'),
    out_dir=Path('outputs/ablation_unlabelled_bevformer'),
    evaluate_on=(
        Path('data/ablation_evaluation_bevformer'), {**BEVFORMER_SYNTHETIC, 'seed': 1, 'scenes': 61, 'val-scenes': 60}
    ),
    link_frames=False,
    labels=(10, 20),
)  # fmt: skip
# What the frame before is worth: a world of cars, half of which move, seen from a car that turns. Nothing reads LiDAR.
HISTORY = Study(
    configs=_files('history', 'detector', 'baseline', 'with_history'),
    baseline='baseline',
    synthetic={
        **SYNTHETIC, 'scenes': 150, 'val-scenes': 30, 'keyframes': 5, 'extent': 18.0, 'ego-turn': (10, 40),
        'objects': 'car=6,truck=0,construction_vehicle=0,bus=0,trailer=0,barrier=0,motorcycle=0,bicycle=0,pedestrian=0,'
        'traffic_cone=0',
        'camera-sweep-hz': 2, 'lidar-sweep-hz': 2, 'lidar-beams': 16, 'lidar-azimuth-steps': 180,
    },
    data_root=Path('data/ablation_history'),
    out_dir=Path('outputs/ablation_history'),
    link_frames=False,
)  # fmt: skip
STUDIES = {
    'method': METHOD,
    'unlabelled': UNLABELLED,
    'unlabelled_bevformer': UNLABELLED_BEVFORMER,
    'history': HISTORY,
}

_R50 = 'configs/lidar2camera_bev_distillation'
# METHOD at the size of nuScenes, on a larger set.
FULL_SIZE = Study(
    configs={
        'baseline': 'configs/bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py',
        'distillbev': f'{_R50}/teacher_to_bevdepth4d/distillbev_centerpoint_to_bevdepth4d_r50_256x704.py',
        'dualdistill': f'{_R50}/teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py',
        'aoa_off': f'{_R50}/ablations/centerpoint_to_bevdepth4d_r50_aoa_off.py',
        'crd_off': f'{_R50}/ablations/centerpoint_to_bevdepth4d_r50_crd_off.py',
        'single_level': f'{_R50}/ablations/centerpoint_to_bevdepth4d_r50_single_level.py',
        'uniform_weights': f'{_R50}/ablations/centerpoint_to_bevdepth4d_r50_weights1_uniform.py',
    },
    baseline='baseline',
    synthetic={
        'version': 'v1.0-trainval', 'seed': 0, 'scenes': 180, 'val-scenes': 30, 'keyframes': 8, 'extent': 45.0,
        'image-size': (800, 450),
    },
    data_root=Path('data/ablation_full_size'),
    out_dir=Path('outputs/ablation_full_size'),
    database=True,  # its teacher samples objects
    options=('checkpoint_config.max_keep_ckpts=1', 'evaluation.interval=100'),  # the last epoch counts
)  # fmt: skip
