"""nuScenes for distilling into a student with a memory: its data, plus ten LiDAR sweeps for the teacher at training.

The points are those of the current keyframe, as in the teacher's own test pipeline. Testing needs none.
"""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

_base_ = './nuscenes_camera_queue.py'

train_pipeline = bevformer_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    cameras={{_base_.cameras}},
    queue_length={{_base_.queue_length}},
    distortion=dict(),
    teacher_sweeps=10,
)[0]
data = dict(train=dict(pipeline=train_pipeline))
