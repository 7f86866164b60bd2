"""DualDistill: CenterPoint teaches BEVDepth4D R50, 256x704.

Published targets (method README, not our result): 40.5 mAP, 51.4 NDS.
"""

_base_ = [
    '../../_base_/models/bevdepth4d_r50.py',
    '../../_base_/datasets/nuscenes_distill.py',
    '../../_base_/schedules/adamw_24e.py',
    '../../_base_/runtime/default_runtime.py',
]

feature_loss = dict(
    type='RegionWeightedFeatureLoss',
    fg_weight=6e-3,
    bg_weight=4e-2,
    spatial_weight=2.5e-3,
    attention='teacher_student',
)
regions = dict(cell_anchor='center', fp_threshold=0.1)

model = dict(
    _delete_=True,
    type='DualDistill',
    student={{_base_.model}},
    teacher=dict(
        config='configs/centerpoint/centerpoint_pillar02_dynamic_cbgs_20e_nus.py',
        checkpoint='outputs/centerpoint_pillar02_dynamic_cbgs_20e_nus/epoch_20.pth',
    ),
    levels=dict(
        backbone1=dict(aligner=dict(type='AOAAligner'), loss=feature_loss, regions=regions),
        backbone2=dict(aligner=dict(type='AOAAligner'), loss=feature_loss, regions=regions),
        head=dict(
            aligner=dict(type='Conv1x1Aligner'),
            loss=dict(fp_weight=6e-2, fp_channel_attention=True, **feature_loss),
            regions=regions,
        ),
    ),
    response=dict(
        type='CrossHeadBoxLoss',
        temperature=0.1,
        score_threshold=0.1,
        nms=dict(nms_type='rotate', nms_thr=0.2, post_max_size=83),
        loss_weight=1.0,
    ),
    inherit_head=True,
)
