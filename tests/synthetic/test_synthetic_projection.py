"""Boxes, masks, images and points of the generated set agree with one another."""

import cv2
import numpy as np
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import points_in_box, view_points
from pyquaternion import Quaternion

from mmdet3d_plugin.synthetic.render import mask_path
from mmdet3d_plugin.synthetic.rig import CAMERAS


def masks_of(root, record):
    return np.load(root / mask_path(record['filename']))


def box_in_camera(nusc, annotation, record):
    """Annotated box in a camera's frame, moved to the time of its image; the K of the camera."""
    box = nusc.get_box(annotation)
    sample = nusc.get('sample', nusc.get('sample_annotation', annotation)['sample_token'])
    box.translate(nusc.box_velocity(annotation) * (record['timestamp'] - sample['timestamp']) * 1e-6)
    pose = nusc.get('ego_pose', record['ego_pose_token'])
    calib = nusc.get('calibrated_sensor', record['calibrated_sensor_token'])
    for place in (pose, calib):
        box.translate(-np.array(place['translation']))
        box.rotate(Quaternion(place['rotation']).inverse)
    return box, np.array(calib['camera_intrinsic'])


def keyframe_images(nusc):
    for sample in nusc.sample:
        for channel in CAMERAS:
            yield nusc.get('sample_data', sample['data'][channel])


def test_images_between_keyframes_have_masks_of_the_same_objects(tiny_nusc, tiny_nuscenes):
    for channel in CAMERAS:
        key = tiny_nusc.get('sample_data', tiny_nusc.sample[1]['data'][channel])
        sweep = tiny_nusc.get('sample_data', key['prev'])
        assert not sweep['is_key_frame']
        at_key, before = masks_of(tiny_nuscenes, key), masks_of(tiny_nuscenes, sweep)
        assert before['ids'].shape == at_key['ids'].shape and before['ids'].max(initial=0) == len(before['names'])
        common = set(at_key['instance_tokens']) & set(before['instance_tokens'])
        assert len(common) >= len(at_key['instance_tokens']) - 2
        for token in common:
            spots = [
                np.argwhere(found['ids'] == 1 + list(found['instance_tokens']).index(token)).mean(0)
                for found in (at_key, before)
            ]
            assert np.abs(spots[0] - spots[1]).max() < 25  # 83 ms apart


def test_masks_lie_inside_their_boxes_and_fill_them(tiny_nusc, tiny_nuscenes):
    fills, edges = [], []
    for record in keyframe_images(tiny_nusc):
        found = masks_of(tiny_nuscenes, record)
        assert found['ids'].dtype == np.uint16 and found['ids'].shape == (90, 160)
        assert found['ids'].max(initial=0) == len(found['annotation_tokens']) == len(found['names'])
        for k, token in enumerate(found['annotation_tokens']):
            annotation = tiny_nusc.get('sample_annotation', str(token))
            assert annotation['instance_token'] == found['instance_tokens'][k]
            assert annotation['sample_token'] == record['sample_token']
            box, camera = box_in_camera(tiny_nusc, str(token), record)
            corners = box.corners()
            if corners[2].min() < 0.1:
                continue
            outline = cv2.convexHull(view_points(corners, camera, normalize=True)[:2].T.astype(np.float32))
            pixels = np.argwhere(found['ids'] == k + 1)[:, ::-1]
            assert len(pixels) > 0
            inside = [cv2.pointPolygonTest(outline, (float(u), float(v)), True) for u, v in pixels]
            assert min(inside) > -0.05
            seen, low, high = annotation['visibility_token'] == '4', outline.min((0, 1)), outline.max((0, 1))
            whole = low.min() > 1 and high[0] < 158 and high[1] < 88
            if seen and whole and len(pixels) > 80:
                fills.append(len(pixels) / cv2.contourArea(outline))
                edges.append(np.abs([pixels.min(0) - low, high - pixels.max(0)]).max())
    assert len(fills) > 20
    assert np.mean(fills) > 0.5
    # A tight box: the object's pixels reach to its outline's bounds, up to the drawing's inset and rounding.
    assert np.median(edges) < 2.5


def test_lidar_points_of_an_object_land_on_its_pixels(tiny_nusc, tiny_nuscenes):
    hits = total = 0
    for record in keyframe_images(tiny_nusc):
        found = masks_of(tiny_nuscenes, record)
        sample = tiny_nusc.get('sample', record['sample_token'])
        path, boxes, _ = tiny_nusc.get_sample_data(sample['data']['LIDAR_TOP'])
        points = LidarPointCloud.from_file(path).points[:3]
        lidar_boxes = {box.token: box for box in boxes}
        for k, token in enumerate(found['annotation_tokens']):
            annotation = tiny_nusc.get('sample_annotation', str(token))
            if annotation['visibility_token'] != '4':
                continue
            # Through the box's own frame, so that moving objects are compared at the image's time.
            source = lidar_boxes[str(token)]
            own = points[:, points_in_box(source, points)]
            own = source.orientation.inverse.rotation_matrix @ (own - source.center[:, None])
            target, camera = box_in_camera(tiny_nusc, str(token), record)
            own = target.orientation.rotation_matrix @ own + target.center[:, None]
            own = own[:, own[2] > 0.5]
            uv = np.rint(view_points(own, camera, normalize=True)[:2]).astype(int)
            uv = uv[:, (uv[0] >= 0) & (uv[0] < 160) & (uv[1] >= 0) & (uv[1] < 90)]
            mask = cv2.dilate((found['ids'] == k + 1).astype(np.uint8), np.ones((3, 3), np.uint8))
            hits += mask[uv[1], uv[0]].sum()
            total += uv.shape[1]
    assert total > 1000
    assert hits / total > 0.97


def test_classes_differ_in_colour(tiny_nusc, tiny_nuscenes):
    """The mean colour of an image's object pixels is nearest to its own class's mean far more often than chance."""
    colours, labels = [], []
    for record in keyframe_images(tiny_nusc):
        found = masks_of(tiny_nuscenes, record)
        image = cv2.imread(str(tiny_nuscenes / record['filename'])).astype(np.float32)
        for k, name in enumerate(found['names']):
            pixels = image[found['ids'] == k + 1]
            if len(pixels) > 60:
                colours.append(np.concatenate([pixels.mean(0), pixels.std(0)]))
                labels.append(str(name))
    colours, labels = np.array(colours), np.array(labels)
    names = np.unique(labels)
    means = np.stack([colours[labels == n].mean(0) for n in names])
    nearest = names[np.linalg.norm(colours[:, None] - means, axis=2).argmin(1)]
    assert len(names) >= 8
    assert (nearest == labels).mean() > 0.4
