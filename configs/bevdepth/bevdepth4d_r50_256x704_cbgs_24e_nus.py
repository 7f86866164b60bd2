"""BEVDepth4D R50, 256x704, undistilled. Published targets (method README, not our result): 35.1 mAP, 47.5 NDS."""

_base_ = [
    '../_base_/models/bevdepth4d_r50.py',
    '../_base_/datasets/nuscenes_camera_4d.py',
    '../_base_/schedules/adamw_24e.py',
    '../_base_/runtime/default_runtime.py',
]
