"""BEVFormer R50 as its config has it: one keyframe of whole images to boxes, with its time and memory."""

import resource
import time

import pytest
import torch
from mmcv import Config
from mmdet3d.models import build_detector

from mmdet3d_plugin.synthetic.random_batch import make_batch


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:pretrained')
def test_one_keyframe_at_full_size(repo_root):
    """At test, as the first frame of a scene. About 3 GiB."""
    cfg = Config.fromfile(str(repo_root / 'configs' / 'bevformer' / 'bevformer_r50_928x1600_24e_nus.py'))
    model = build_detector(cfg.model)
    model.init_weights()
    batch = make_batch(
        batch_size=1, num_frames=1, num_cams=6, image_size=(928, 1600), stride=16, num_boxes=5, num_points=100,
        point_cloud_range=cfg.point_cloud_range,
    )  # fmt: skip
    start = time.perf_counter()
    with torch.no_grad():
        (result,) = model.eval()(return_loss=False, **batch)
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f'\nfull-size BEVFormer R50, one keyframe on {torch.get_num_threads()} threads: {seconds:.0f} s, {peak:.1f} GiB'
    )
    found = result['pts_bbox']
    assert 0 < len(found['scores_3d']) <= 300
    assert found['boxes_3d'].tensor.isfinite().all() and found['scores_3d'].isfinite().all()
