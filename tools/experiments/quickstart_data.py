"""The generated data of the quick start, which studies take over."""

# Many short scenes rather than mini's ten long ones: at the same number of keyframes, several times as many objects to
# learn from. v1.0-trainval only lends the names of the scenes.
SYNTHETIC = {
    'version': 'v1.0-trainval',
    'seed': 0,
    'scenes': 230,
    'val-scenes': 30,
    'keyframes': 3,
    'image-size': (240, 135),
    'extent': 19.0,
    'ego-speed': 2.0,
    'objects': 'car=4,truck=2,construction_vehicle=2,bus=2,trailer=2,barrier=3,motorcycle=3,bicycle=3,pedestrian=4,'
    'traffic_cone=3',
    'lead-in': 0.5,  # or a third of the keyframes would have nothing before them
    'camera-sweep-hz': 8,
    'lidar-sweep-hz': 4,
    'lidar-azimuth-steps': 540,
    'lidar-max-range': 40.0,
}
# For BEVFormer: scenes long enough to remember and drives that turn, some with CAN bus files. Nothing reads the images
# between keyframes.
BEVFORMER_SYNTHETIC = {
    **SYNTHETIC,
    'scenes': 138,
    'val-scenes': 18,
    'keyframes': 5,
    'camera-sweep-hz': 2,
    'ego-turn': (10, 40),
    'can-bus': 0.5,
}
