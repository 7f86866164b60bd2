"""This project's own, not the release's: CRD for query heads on top of DistillBEV; LidarFormer teaches BEVFormer R50.

The teacher's frozen decoder and its own queries read the aligned student map, and answer as on the teacher's map. No
published number, and none of ours.
"""

_base_ = './lidarformer_to_bevformer_nus_1x1conv_r50.py'

model = dict(
    response=dict(type='CrossHeadQueryLoss', level='bev', temperature=0.5, score_threshold=0.1, loss_weight=1.0)
)
