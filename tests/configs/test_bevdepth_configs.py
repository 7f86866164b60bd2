import warnings

import pytest
from mmcv import Config
from mmdet3d.models import build_model


@pytest.mark.parametrize(
    'name, image_size',
    [
        ('bevdepth4d_r50_256x704_cbgs_24e_nus.py', (256, 704)),
        ('bevdepth4d_r101_512x1408_cbgs_24e_nus.py', (512, 1408)),
    ],
)
def test_full_size_students(repo_root, name, image_size):
    """Sizes of the method note, section 2."""
    cfg = Config.fromfile(str(repo_root / 'configs' / 'bevdepth' / name))
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='pretrained weights')
        model = build_model(cfg.model)
    levels = {name: str(level) for name, level in model.bev_levels().items()}
    assert levels == dict(backbone0='128@64x64', backbone1='256@32x32', backbone2='512@16x16', head='256@128x128')
    view = model.img_view_transformer
    assert str(view.level) == '64@128x128'
    assert view.grid.cell_x == view.grid.cell_y == pytest.approx(0.8)
    assert tuple(view.frustum_uv1.shape[:2]) == (image_size[0] // 16, image_size[1] // 16)
    assert len(view.frustum_depths) == 59
    for pipeline in (cfg.data.train.dataset.pipeline, cfg.data.val.pipeline, cfg.data.test.pipeline):
        assert [tuple(step.final_dim) for step in pipeline if 'final_dim' in step] == [image_size]
    assert {step.downsample for step in cfg.data.train.dataset.pipeline if step.type == 'PointsToDepthMap'} == {16}
