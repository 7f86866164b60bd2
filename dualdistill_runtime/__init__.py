"""Exported students at work: numpy, onnxruntime and OpenCV, and neither torch nor mmcv.

The modules here know sensors, poses, images and boxes as arrays. ``mmdet3d_plugin`` imports them for its own pipelines
and its evaluation, so that an exported student is fed exactly as a trained one. This package knows nothing of that one.
"""
