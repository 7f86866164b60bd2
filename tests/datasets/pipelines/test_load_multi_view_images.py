"""Decoding: right bytes, right size, one clear error for a bad file."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdet3d_plugin.datasets.pipelines import LoadMultiViewImages, load_multi_view_images


@pytest.fixture
def jpeg(tmp_path):
    rows, cols = np.mgrid[:90, :161]
    picture = np.stack([rows * 2, cols, (rows + cols) % 256], axis=-1).astype(np.uint8)
    path = tmp_path / 'picture.jpg'
    Image.fromarray(picture).save(path, quality=95)
    return path


def _frames(*paths):
    return dict(frames=[[dict(data_path=str(path)) for path in paths]] * 2)


def test_same_pixels_as_pil_in_bgr(jpeg):
    results = LoadMultiViewImages()(_frames(jpeg))
    image = results['images'][1][0]
    assert image.shape == (90, 161, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., ::-1], np.asarray(Image.open(jpeg).convert('RGB')))
    assert results['image_reduction'] == 1
    assert results['img_filenames'] == [[str(jpeg)], [str(jpeg)]]


def test_a_file_used_twice_is_decoded_once(jpeg, monkeypatch):
    calls = []
    decode = cv2.imdecode
    monkeypatch.setattr(load_multi_view_images.cv2, 'imdecode', lambda *args: calls.append(1) or decode(*args))
    results = LoadMultiViewImages()(_frames(jpeg, jpeg))
    assert len(calls) == 1
    assert [len(frame) for frame in results['images']] == [2, 2]


@pytest.mark.parametrize('reduction', [2, 4])
def test_reduced_decoding_is_a_box_filtered_image(jpeg, reduction):
    full = LoadMultiViewImages()(_frames(jpeg))['images'][0][0].astype(float)
    results = LoadMultiViewImages(decode_reduction=reduction)(_frames(jpeg))
    image = results['images'][0][0]
    assert results['image_reduction'] == reduction
    assert image.shape[:2] == (-(-90 // reduction), -(-161 // reduction))
    rows, cols = 90 // reduction, 160 // reduction
    boxes = full[: rows * reduction, : cols * reduction].reshape(rows, reduction, cols, reduction, 3).mean((1, 3))
    # two grey levels in the mean; the third channel jumps from 255 to 0 and is left out
    assert np.abs(boxes - image[:rows, :cols])[..., 1:].mean() < 2


def test_missing_corrupt_truncated_and_empty_files_are_named(tmp_path, jpeg):
    step = LoadMultiViewImages()
    with pytest.raises(FileNotFoundError, match='nowhere.jpg does not exist; check data_root'):
        step(_frames(tmp_path / 'nowhere.jpg'))
    data = jpeg.read_bytes()
    for name, content in (('cut.jpg', data[: len(data) // 2]), ('empty.jpg', b''), ('text.jpg', b'not an image')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f'{name} .* is corrupt or truncated'):
            step(_frames(tmp_path / name))


def test_opencv_starts_no_threads_that_a_forked_worker_would_wait_for():
    assert load_multi_view_images.cv2.getNumThreads() <= 1


def test_unknown_reduction():
    with pytest.raises(ValueError, match='decode_reduction must be one of'):
        LoadMultiViewImages(decode_reduction=3)
