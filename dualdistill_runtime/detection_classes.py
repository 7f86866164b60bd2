"""The ten classes of the nuScenes detection task, in the one order used by labels, one-hot columns and configs here."""

DETECTION_CLASSES = (
    *('car', 'truck', 'construction_vehicle', 'bus', 'trailer'),
    *('barrier', 'motorcycle', 'bicycle', 'pedestrian', 'traffic_cone'),
)
