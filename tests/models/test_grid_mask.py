import pytest
import torch

from mmdet3d_plugin.models.grid_mask import GridMask, _stripes


@pytest.mark.parametrize('size', [9, 16, 31])
def test_stripes_are_those_of_the_larger_canvas_cropped(size):
    """Every period and offset against stripes laid out one by one."""
    canvas, kept = int(1.5 * size), set()
    for period in range(2, size):
        width = min(max(int(period / 2 + 0.5), 1), period - 1)
        for offset in range(period):
            line = torch.zeros(canvas, dtype=torch.bool)
            for index in range(canvas // period):
                line[offset + period * index : offset + period * index + width] = True
            start = (canvas - size) // 2
            found = _stripes(size, period, offset)
            assert torch.equal(found, line[start : start + size]), (period, offset)
            kept.add(round(found.float().mean().item(), 2))
    assert len(kept) > 3


def test_one_mask_for_all_images_that_hides_some():
    mask, images = GridMask(prob=1.0), torch.rand(2, 1, 3, 3, 24, 40) + 1
    shown = [mask(images) != 0 for _ in range(20)]
    assert all(torch.equal(kept, kept[:1, :, :1, :1].expand_as(kept)) for kept in shown)
    shares = torch.stack([kept.float().mean() for kept in shown])
    assert 0.5 < shares.mean() < 0.95 and shares.std() > 0.01


def test_what_is_shown_keeps_its_value():
    images = torch.rand(1, 3, 24, 40) + 1
    masked = GridMask(prob=1.0)(images)
    assert ((masked == images) | (masked == 0)).all() and (masked == images).any() and (masked == 0).any()


def test_only_in_training_and_only_as_often_as_asked():
    mask, images = GridMask(prob=0.5), torch.ones(1, 3, 24, 40)
    masked = sum(not mask(images).all() for _ in range(60))
    assert 15 < masked < 45
    assert not sum(not GridMask(prob=0.0)(images).all() for _ in range(20))
    assert mask.eval()(images) is images
    with pytest.raises(ValueError, match='prob must be in'):
        GridMask(prob=1.5)


def test_the_same_seed_gives_the_same_masks():
    images, runs = torch.ones(1, 3, 24, 40), []
    for _ in range(2):
        torch.manual_seed(3)
        mask = GridMask()
        runs.append(torch.stack([mask(images) for _ in range(5)]))
    assert torch.equal(*runs)
