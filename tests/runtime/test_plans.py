"""Plans of the runtime are those of the package, on cameras that look anywhere."""

import numpy as np
import pytest
import torch
from helpers.batch import make_batch

from dualdistill_runtime.grid import Grid, places_in_previous, turned_places
from dualdistill_runtime.lift_plan import Frustum
from dualdistill_runtime.pillar_plan import Pillars
from dualdistill_runtime.rig import Rig
from dualdistill_runtime.stacked_plans import stack_plans
from mmdet3d_plugin.models.bev_transformer.pillar_projection import find_visible, frame_projection, pillar_points
from mmdet3d_plugin.models.bev_transformer.previous_map import turn_nearest
from mmdet3d_plugin.models.view_transforms.geometry import CameraGeometry, build_frustum, locate_frustum
from mmdet3d_plugin.models.view_transforms.temporal_align import align_bev
from mmdet3d_plugin.ops.bev_pool import BEVPoolPlan
from mmdet3d_plugin.structures import BEVGrid
from mmdet3d_plugin.synthetic.random_batch import planar_motion

EXTENT = (-12.8, -11.2, 12.8, 11.2)
BEV, GRID = BEVGrid(*EXTENT, 14, 16), Grid(*EXTENT, 14, 16)
SIZE = (32, 64)


@pytest.fixture
def batch():
    """Two samples of three cameras, resized; one camera looks at the sky, far above the map."""
    made = make_batch(batch_size=2, num_frames=1, num_cams=3, image_size=SIZE, augment=False)
    made['post_rots'][:, :, 1, :2, :2] *= 1.1
    made['cam2lidar'][1, :, 2, :3, :3] = torch.eye(3)
    made['cam2lidar'][1, :, 2, 2, 3] = 40.0
    return made


def rigs(batch):
    geometry = [batch[key][:, 0].double().numpy() for key in ('intrins', 'post_rots', 'post_trans', 'cam2lidar')]
    return [Rig(*sample) for sample in zip(*geometry)]


@pytest.mark.parametrize('anchor', ['center', 'corner'])
def test_frustum_points_fall_into_the_same_cells(batch, anchor):
    bound, z_range = (1.0, 17.0, 1.0), (-3.0, 3.0)
    uv1, depths = build_frustum(SIZE, 16, bound, anchor)
    cameras = CameraGeometry.of_frame(batch, 0)
    plan = BEVPoolPlan.from_geometry(locate_frustum(uv1, depths, cameras), BEV, z_range)
    frustum = Frustum(SIZE, 16, bound, anchor, GRID, z_range)
    found = stack_plans([frustum.plan(rig) for rig in rigs(batch)], frustum.steps(3))
    cells = np.full(plan.point_cells.numel(), -1)
    cells[found['points']] = found['cells']
    assert 100 < len(found['points']) < cells.size
    np.testing.assert_array_equal(cells, plan.point_cells.flatten().numpy())
    order = np.argsort(plan.points[: len(plan.cells)].numpy())
    np.testing.assert_array_equal(found['pixels'], plan.pixels[: len(plan.cells)].numpy()[order])


def test_a_camera_without_a_cell_takes_no_part(batch):
    frustum = Frustum(SIZE, 16, (1.0, 17.0, 1.0), 'center', GRID, (-3.0, 3.0))
    points = frustum.plan(rigs(batch)[1]).points // (16 * 2 * 4)
    assert set(points.tolist()) == {0, 1}
    pillars = Pillars(GRID, (-5.0, 3.0), 4, SIZE)
    assert set(pillars.plan(rigs(batch)[1]).pair_image.tolist()) == {0, 1}


def test_camera_numbers_are_those_of_the_depth_net(batch):
    wanted = CameraGeometry.of_frame(batch, 0).flat_numbers().numpy()
    np.testing.assert_allclose(np.stack([rig.flat_numbers() for rig in rigs(batch)]), wanted, rtol=1e-6)


def test_visible_pairs_are_the_same(batch):
    pairs = find_visible(pillar_points(BEV, (-5.0, 3.0), 4), frame_projection(batch, 0), SIZE)
    pillars = Pillars(GRID, (-5.0, 3.0), 4, SIZE)
    found = stack_plans([pillars.plan(rig) for rig in rigs(batch)], pillars.steps(3))
    assert len(pairs.cell) > 50
    np.testing.assert_array_equal(found['pair_image'], pairs.image.numpy())
    np.testing.assert_array_equal(found['pair_cell'], pairs.cell.numpy())
    np.testing.assert_allclose(found['pair_points'], pairs.points.numpy(), atol=1e-5)
    np.testing.assert_array_equal(found['cell_share'], pairs.share.numpy())


def read(bev, places, mode):
    return torch.nn.functional.grid_sample(bev, torch.from_numpy(places)[None], mode=mode, align_corners=False)


def test_a_moved_map_is_read_where_the_package_reads_it():
    bev, motion = torch.randn(1, 3, 14, 16), planar_motion(yaw=0.3, shift=(1.0, -2.0, 0.1)).double()
    wanted = align_bev(bev, motion[None], BEV)
    torch.testing.assert_close(read(bev, places_in_previous(motion.numpy(), GRID), 'bilinear'), wanted)


def test_a_turned_map_is_read_where_the_package_reads_it():
    bev = torch.randn(1, 3, 14, 16)
    wanted = turn_nearest(bev, torch.tensor([33.0]))
    torch.testing.assert_close(read(bev, turned_places(33.0, GRID), 'nearest'), wanted)
