"""DistillBEV, as released for this family: LidarFormer teaches BEVFormer R50.

Published targets (DistillBEV's README, not our result): 35.9 mAP, 46.8 NDS.
"""

_base_ = [
    '../../_base_/models/bevformer_r50.py',
    '../../_base_/datasets/nuscenes_queue_distill.py',
    '../../_base_/schedules/adamw_cosine_24e.py',
    '../../_base_/runtime/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='DualDistill',
    student={{_base_.model}},
    teacher=dict(
        config='configs/lidarformer/lidarformer_voxel0064_cbgs_20e_nus.py',
        checkpoint='outputs/lidarformer_voxel0064_cbgs_20e_nus/epoch_20.pth',
    ),
    levels=dict(
        bev=dict(
            aligner=dict(type='Conv1x1Aligner'),
            loss=dict(
                type='RegionWeightedFeatureLoss',
                fg_weight=5e-3,
                bg_weight=4e-3,
                spatial_weight=5e-4,
                attention='teacher',
                temperature=0.5,
            ),
            regions=dict(cell_anchor='center'),
        )
    ),
    inherit_head=['branches', 'decoder'],
)
