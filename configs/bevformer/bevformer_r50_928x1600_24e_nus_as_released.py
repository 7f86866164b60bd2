"""BEVFormer R50 with the motion that published weights have seen, slips of the released code included.

For converted checkpoints. The previous map is turned to nearest cells and both references are shifted. The motion
vector holds w in all four slots of the quaternion and a change of yaw that is not wrapped.
"""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

_base_ = './bevformer_r50_928x1600_24e_nus.py'

seen = dict(motion_source='can', quaternion='w', wrap_yaw=False)
model = dict(bev_encoder=dict(alignment='released', shift_both=True), **seen)

train_pipeline, test_pipeline = bevformer_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    cameras={{_base_.cameras}},
    queue_length={{_base_.queue_length}},
    motion=seen,
    distortion=dict(),
)
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline),
)
