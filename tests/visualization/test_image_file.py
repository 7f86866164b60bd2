"""Images from and to files."""

import cv2
import numpy as np
import pytest

from mmdet3d_plugin.visualization.image_file import read_image, write_image


def test_what_is_written_is_read(tmp_path):
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    write_image(tmp_path / 'new' / 'a.png', image)
    np.testing.assert_array_equal(read_image(tmp_path / 'new' / 'a.png'), image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'new' / 'a.png'))[..., ::-1], image)
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['a.png']


def test_an_unknown_ending_and_a_broken_file_are_named(tmp_path):
    for name in ('a.txt', 'a'):
        with pytest.raises(ValueError, match=f'{name}: no format for images goes with this ending'):
            write_image(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    (tmp_path / 'b.png').write_bytes(b'half a file')
    with pytest.raises(ValueError, match='b.png.*is corrupt or truncated'):
        read_image(tmp_path / 'b.png')
    assert [path.name for path in tmp_path.iterdir()] == ['b.png']
