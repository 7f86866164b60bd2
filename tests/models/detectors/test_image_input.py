"""Images of bytes and normalised ones are the same to a detector."""

import pytest
import torch
from helpers.batch import make_batch
from helpers.toy_models import toy_bevdepth_cfg
from mmcv import ConfigDict
from mmdet3d.models import build_model

from mmdet3d_plugin.models.detectors.image_input import normalised

NORMS = [dict(mean=(100.0, 110.0, 120.0), std=(50.0, 60.0, 70.0)), dict(mean=(0.0, 1.0, 2.0), std=(1.0, 2.0, 4.0))]


def test_each_sample_by_its_own_numbers():
    images = torch.arange(2 * 2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 2, 3, 4, 5)
    found = normalised(images, [dict(img_norm_cfg=norm) for norm in NORMS])
    assert found.dtype == torch.float32
    assert found[1, 0, 2, 1, 3].item() == pytest.approx((images[1, 0, 2, 1, 3].item() - 2) / 4)
    assert found[0, 1, 0, 3, 4].item() == pytest.approx((images[0, 1, 0, 3, 4].item() - 100) / 50)
    flat = normalised(images[:, 0], [dict(img_norm_cfg=norm) for norm in NORMS])
    torch.testing.assert_close(flat, found[:, 0], rtol=0, atol=0)


def test_floats_stay_and_bytes_without_numbers_are_refused():
    images = torch.rand(1, 2, 3, 4, 5)
    assert normalised(images, [{}]) is images
    with pytest.raises(KeyError, match='img_norm_cfg.*FormatBEVInputs.meta_keys'):
        normalised(images.byte(), [{}])


def test_bevdepth_sees_the_same():
    torch.manual_seed(0)
    model = build_model(ConfigDict(toy_bevdepth_cfg(image_size=(32, 64)))).eval()
    batch = make_batch(image_size=(32, 64), num_cams=2)
    images = torch.randint(0, 256, batch['img'].shape, dtype=torch.uint8)
    metas = [dict(meta, img_norm_cfg=NORMS[0]) for meta in batch['img_metas']]
    mean, std = (torch.tensor(NORMS[0][key]).view(3, 1, 1) for key in ('mean', 'std'))
    with torch.no_grad():
        bytes_ = model.extract_bev(dict(batch, img=images, img_metas=metas)).head_map
        floats = model.extract_bev(dict(batch, img=(images - mean) / std)).head_map
    torch.testing.assert_close(bytes_, floats)
    assert floats.std() > 0
