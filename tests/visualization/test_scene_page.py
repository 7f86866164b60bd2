"""The page of a scene as it is written: its content by hand, and nothing that is not in it."""

import base64
import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers.demo_frames import RANGE, TURNED, boxes, make_frame

from mmdet3d_plugin.visualization.palette import PAGE_GROUND_TRUTH, PAGE_MODELS, class_colour
from mmdet3d_plugin.visualization.scene_page import ASSETS, SCRIPTS, page_content, write_page


def content_of(*frames, **more):
    return page_content(frames, RANGE, title='Demo', **more)


def read_page(path):
    """(text, content) of a page."""
    text = path.read_text(encoding='utf-8')
    (found,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', text, re.S)
    return text, json.loads(found)


def test_corners_score_and_speed_of_a_box():
    """The box faces +y: its rear is at y = 2, its right side at x = 11, its bottom at z = 0."""
    (frame,) = content_of(make_frame())['frames']
    (predicted,), (truth,) = frame['boxes']
    rear = [11, 2, 0, 11, 2, 2, 9, 2, 0, 9, 2, 2]
    front = [11, 6, 0, 11, 6, 2, 9, 6, 0, 9, 6, 2]
    assert predicted['corners'] == pytest.approx(rear + front) and truth['corners'] == predicted['corners']
    assert (predicted['score'], predicted['speed']) == (0.6, None)
    assert (truth['score'], truth['speed']) == (None, 5.0)


def test_unknown_velocity_is_no_speed():
    truth = boxes(TURNED, velocities=[[np.nan, np.nan]])
    assert content_of(make_frame(truth=truth))['frames'][0]['boxes'][1][0]['speed'] is None


def test_boxes_come_best_first_and_the_weakest_are_left_out():
    rows = [[x, 0, 0, 4, 2, 2, 0] for x in (1.0, 2.0, 3.0)]
    found = boxes(*rows, names=['bus', 'car', 'car'], scores=[0.3, 0.05, 0.9])
    content = content_of(make_frame(models={'a': found}, truth=boxes()))
    assert [(box['score'], content['classes'][box['class']]['name']) for box in content['frames'][0]['boxes'][0]] == [
        (0.9, 'car'),
        (0.3, 'bus'),
    ]
    assert content_of(make_frame(), threshold=0.0)['threshold'] == content['lowest_score'] == 0.1


def test_frames_keep_their_order():
    frames = [make_frame(1), make_frame(0), make_frame(0, 'scene-0002')]
    found = content_of(*frames)['frames']
    assert [(frame['token'], frame['seconds']) for frame in found] == [
        ('scene-0001-1', 0.5), ('scene-0001-0', 0.0), ('scene-0002-0', 0.0)
    ]  # fmt: skip


def test_layers_differ_in_colour_and_line():
    models = {name: boxes(TURNED, scores=[0.5]) for name in ('a', 'b', 'c')}
    content = content_of(make_frame(models=models))
    assert [layer['name'] for layer in content['layers']] == ['a', 'b', 'c', 'ground truth']
    assert [layer['colour'] for layer in content['layers']] == [*map(list, PAGE_MODELS[:3]), list(PAGE_GROUND_TRUTH)]
    dashes = [tuple(layer['dash']) for layer in content['layers'][:3]]
    assert dashes[-1] == () and len(set(dashes)) == 3  # the last model's lines are whole
    assert content['classes'] == [dict(name='car', colour='#{:02x}{:02x}{:02x}'.format(*class_colour('car')))]


def test_many_models_still_differ():
    names = [f'model {number}' for number in range(9)]
    layers = content_of(make_frame(models={name: boxes(TURNED, scores=[0.5]) for name in names}))['layers'][:9]
    assert len({(tuple(layer['colour']), tuple(layer['dash'])) for layer in layers}) == 9 and layers[-1]['dash'] == []


def luminance(colour):
    """Relative luminance by WCAG 2."""
    parts = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def test_lines_stand_out_from_both_grounds():
    """WCAG 2 wants a contrast of 3 for graphics; the grounds are those of page.css."""
    grounds = re.findall(r'--ground: (#\w{6})', (ASSETS / 'page.css').read_text())
    assert len(grounds) == 2
    for pair in (*PAGE_MODELS, PAGE_GROUND_TRUTH):
        for colour, ground in zip(pair, grounds):
            dark, light = sorted(luminance(one) + 0.05 for one in (colour, ground))
            assert light / dark > 3, (colour, ground)


def test_an_unannotated_scene_has_no_layer_for_ground_truth():
    content = content_of(replace(make_frame(), truth=None))
    assert [layer['name'] for layer in content['layers']] == ['student']
    assert [len(layer) for layer in content['frames'][0]['boxes']] == [1]


def test_path_of_the_car_in_each_frame():
    """3 m forward a frame, and frames of another scene are not of this path; then a turned LiDAR."""
    first, second, other = content_of(make_frame(0), make_frame(1), make_frame(2, 'scene-0002'))['frames']
    assert first['path'] == [0, 0, 0, 3] and second['path'] == [0, -3, 0, 0] and other['path'] == [0, 0]
    turned = make_frame(0)
    turned.lidar_to_global[:2, :2] = [[0, -1], [1, 0]]  # its x axis is the global y axis
    assert content_of(turned, make_frame(1))['frames'][0]['path'] == [0, 0, 3, 0]


def test_points_are_centimetres():
    frame = make_frame(points=[[1.234, -2.0, -1.5, 7, 0], [400.0, 0, 0, 7, 0]])  # the second one is too far away
    packed = base64.b64decode(content_of(frame)['frames'][0]['points'])
    assert np.frombuffer(packed, '<i2').tolist() == [123, -200, -150]
    many = make_frame(points=np.random.default_rng(0).normal(size=(500, 5)))
    kept = np.frombuffer(base64.b64decode(content_of(many, max_points=100)['frames'][0]['points']), '<i2')
    assert len(kept) == 3 * 100
    assert set(map(tuple, kept.reshape(-1, 3))) <= set(map(tuple, np.round(many.points[:, :3] * 100).astype(int)))


def test_camera_image_and_where_a_point_lies_in_it():
    (camera,) = content_of(make_frame())['frames'][0]['cameras']
    kind, _, data = camera['image'].partition(',')
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert kind == 'data:image/jpeg;base64' and image.shape == (camera['height'], camera['width'], 3) == (90, 160, 3)
    np.testing.assert_allclose(image[20, 80], (30, 30, 200), atol=6)  # BGR: red above
    np.testing.assert_allclose(image[70, 80], (128, 128, 128), atol=6)
    u, v, depth = np.array(camera['matrix']).reshape(3, 4) @ [2.0, 10.0, 1.0, 1.0]  # 10 m ahead, 2 m right, 1 m up
    assert (u / depth, v / depth, depth) == pytest.approx((80 + 20, 45 - 10, 10))


def test_a_written_page_stands_alone(tmp_path):
    content = content_of(make_frame(0), make_frame(1), credit='By </script><b>me')
    write_page(tmp_path / 'demo.html', dict(content, title='A & B <i>'))
    text, found = read_page(tmp_path / 'demo.html')
    assert found == json.loads(json.dumps(dict(content, title='A & B <i>')))
    assert 'http:' not in text and 'https:' not in text and '@@' not in text
    assert re.findall(r'(?:src|href)\s*=|@import|url\(', re.sub(r'picture\.src = ', '', text)) == []
    assert '<title>A &amp; B &lt;i&gt;</title>' in text and text.count('</script>') == 2


def test_every_asset_is_used_and_installed(repo_root):
    names = {path.name for path in ASSETS.iterdir()}
    assert names == {'page.html', 'page.css', *SCRIPTS}
    assert "'mmdet3d_plugin.visualization': ['page/*']" in (repo_root / 'setup.py').read_text()


def test_frames_of_other_cameras_are_named():
    frame = make_frame()
    other = replace(frame, cameras={}, token='second')
    with pytest.raises(ValueError, match='frame second has the cameras .*, the first frame of the page .*CAM'):
        content_of(frame, other)


def test_no_frames():
    with pytest.raises(ValueError, match='at least one frame'):
        content_of()
