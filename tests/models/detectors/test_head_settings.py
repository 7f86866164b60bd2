import copy

import pytest
from helpers.toy_models import toy_head_cfg

from mmdet3d_plugin.models.detectors.head_settings import build_bev_head


def test_a_detectors_sections_replace_the_heads_own_and_only_those_given():
    cfg = toy_head_cfg(8)
    before = copy.deepcopy(cfg)
    shorter = dict(cfg['train_cfg'], max_objs=4)
    head = build_bev_head(cfg, dict(pts=shorter), None)
    assert head.train_cfg['max_objs'] == 4 != before['train_cfg']['max_objs']
    assert head.test_cfg['nms_type'] == before['test_cfg']['nms_type']
    assert cfg == before


@pytest.mark.parametrize('name', ['train_cfg', 'test_cfg'])
def test_sections_that_nothing_reads_are_named(name):
    given = dict(train_cfg=None, test_cfg=None)
    given[name] = dict(rpn=None)
    with pytest.raises(ValueError, match=f"{name}: unknown section 'rpn', the head reads {name}.pts alone"):
        build_bev_head(toy_head_cfg(8), **given)
