"""The pipelines of the project as functions of the few numbers that differ between configs.

An mmcv config cannot override one step of an inherited list, and a variable overridden in a child config does not reach
the lists its base built from it. A config therefore calls one of these with its own image size, range and depth bins;
the result is plain lists of dicts, which is also what ``Config.dump`` writes down.
"""

KEYFRAME_POINTS = dict(type='LoadLidarPointsFromFile')
TARGETS = ['gt_bboxes_3d', 'gt_labels_3d']
CAMERA_KEYS = ['img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar', 'frame2cur', 'bev_aug']
QUEUE_KEYS = [*CAMERA_KEYS, 'has_prev', 'can_bus']


def lidar_pipelines(
    *,
    class_names,
    point_cloud_range,
    num_sweeps=10,
    random_sweeps=True,
    virtual_points=False,
    bev_aug=None,
    gt_sampling=None,
):
    """(train, test) pipelines of a LiDAR detector.

    Args:
        class_names (Sequence[str]): classes to keep, in label order.
        point_cloud_range (Sequence[float]): x_min, y_min, z_min, x_max, y_max, z_max in m.
        num_sweeps (int): sweeps per sample, the keyframe included.
        random_sweeps (bool): training draws them out of all that the info file lists, as mmdet3d does; False takes the
            nearest, as testing does, so that both see the same ages.
        virtual_points (bool): points of 17 numbers with painted and virtual ones; else 5 as the LiDAR gave them.
        bev_aug (dict, optional): arguments of GlobalBEVAug at training.
        gt_sampling (dict, optional): ``info_path``, ``sample_groups`` and further arguments of GTDatabaseSampler for
            ground-truth sampling; None leaves it out.
    """
    train = [*lidar_loading(num_sweeps, virtual_points, not random_sweeps), dict(type='LoadAnnotations3D')]
    if gt_sampling is not None:
        layout = dict(classes=class_names, num_sweeps=num_sweeps, virtual_points=virtual_points)
        sampler = dict(type='GTDatabaseSampler', **layout, **gt_sampling)
        train.append(dict(type='ObjectSample', db_sampler=sampler))
    train += [
        *_augmented_targets(class_names, point_cloud_range, bev_aug, with_points=True),
        dict(type='PointShuffle'),
        dict(type='FormatBEVInputs', keys=['points', *TARGETS, 'bev_aug']),
    ]
    test = [
        *lidar_loading(num_sweeps, virtual_points, test_mode=True),
        dict(type='GlobalBEVAug', test_mode=True),
        _points_filter(point_cloud_range),
        dict(type='FormatBEVInputs', keys=['points', 'bev_aug']),
    ]
    return train, test


def camera_4d_pipelines(
    *,
    class_names,
    point_cloud_range,
    final_dim,
    depth_bounds,
    depth_downsample=16,
    decode_reduction=1,
    cameras=None,
    frames=None,
    image_aug=None,
    bev_aug=None,
    teacher_sweeps=0,
    teacher_virtual_points=False,
):
    """(train, test) pipelines of a two-frame camera detector with depth supervision, alone or with a teacher's points.

    Args:
        class_names (Sequence[str]): classes to keep, in label order.
        point_cloud_range (Sequence[float]): x_min, y_min, z_min, x_max, y_max, z_max in m; bounds targets and points.
        final_dim (Sequence[int]): (H, W) of the network input, px.
        depth_bounds (Sequence[float]): (min, max, step) of the depth bins, m.
        depth_downsample (int): image px per depth cell.
        decode_reduction (int): see LoadMultiViewImages.
        cameras (Sequence[str], optional): camera names in the order of the N axis; None takes all of the data set.
        frames (dict, optional): further arguments of SelectAdjacentFrames.
        image_aug (dict, optional): further arguments of AugmentMultiViewImages.
        bev_aug (dict, optional): arguments of GlobalBEVAug at training.
        teacher_sweeps (int): LiDAR sweeps, the keyframe included, collected as ``points`` for a teacher at training;
            0 collects none. Testing reads no points in either case.
        teacher_virtual_points (bool): the teacher's points with painted and virtual ones, 17 numbers each; the depth
            supervision stays with what the LiDAR measured.
    """
    images = (cameras, frames, decode_reduction, final_dim, image_aug)
    points = ['points'] if teacher_sweeps else []
    train = [
        *_image_steps(*images, test_mode=False),
        KEYFRAME_POINTS,
        dict(type='PointsToDepthMap', downsample=depth_downsample, depth_bounds=depth_bounds),
        *_teacher_points(teacher_sweeps, teacher_virtual_points),
        dict(type='LoadAnnotations3D'),
        *_augmented_targets(class_names, point_cloud_range, bev_aug, with_points=bool(points)),
        dict(type='FormatBEVInputs', keys=[*CAMERA_KEYS, 'gt_depth', *points, *TARGETS]),
    ]
    test = [*_image_steps(*images, test_mode=True), dict(type='GlobalBEVAug', test_mode=True)]
    return train, [*test, dict(type='FormatBEVInputs', keys=CAMERA_KEYS)]


def bevformer_pipelines(
    *,
    class_names,
    point_cloud_range,
    cameras,
    queue_length=4,
    decode_reduction=1,
    motion=None,
    distortion=None,
    image=None,
    bev_aug=None,
    teacher_sweeps=0,
    teacher_virtual_points=False,
):
    """(train, test) pipelines of a camera detector that remembers frames, alone or with a teacher's points.

    Training samples hold a queue of keyframes. Test samples hold one, and what tells the detector whether it follows
    the one before.

    Args:
        class_names (Sequence[str]): classes to keep, in label order.
        point_cloud_range (Sequence[float]): x_min, y_min, z_min, x_max, y_max, z_max in m; bounds targets and points.
        cameras (Sequence[str]): camera names in the order of the N axis, as the detector has them.
        queue_length (int): frames of a training sample, the current one included.
        decode_reduction (int): see LoadMultiViewImages.
        motion (dict, optional): arguments of LoadEgoMotion.
        distortion (dict, optional): arguments of PhotometricDistortion at training; None leaves it out.
        image (dict, optional): arguments of NormalizePad.
        bev_aug (dict, optional): arguments of GlobalBEVAug at training; None augments nothing. The motion vector stays
            as measured: in a mirrored map the car turns the other way than it says.
        teacher_sweeps, teacher_virtual_points: see :func:`camera_4d_pipelines`.
    """
    images = (cameras, motion, decode_reduction, image)
    points = ['points'] if teacher_sweeps else []
    bev_aug = dict(test_mode=True) if bev_aug is None else bev_aug
    train = [
        *_queue_steps(*images, queue_length, distortion),
        *(lidar_loading(teacher_sweeps, teacher_virtual_points, test_mode=True) if points else []),
        dict(type='LoadAnnotations3D'),
        *_augmented_targets(class_names, point_cloud_range, bev_aug, with_points=bool(points)),
        dict(type='FormatBEVInputs', keys=[*QUEUE_KEYS, *points, *TARGETS]),
    ]
    test = [*_queue_steps(*images, queue_length=1, distortion=None), dict(type='GlobalBEVAug', test_mode=True)]
    return train, [*test, dict(type='FormatBEVInputs', keys=QUEUE_KEYS)]


def lidar_loading(num_sweeps, virtual_points=False, test_mode=False):
    """Steps that load the keyframe's points and merge the sweeps before it, dt in the last column.

    Args:
        num_sweeps (int): the keyframe included.
        virtual_points (bool): see :func:`lidar_pipelines`.
        test_mode (bool): the nearest sweeps; False draws them at random, which only training a LiDAR detector wants.
    """
    return [_keyframe(virtual_points), _sweeps(num_sweeps, virtual_points, test_mode)]


def _teacher_points(num_sweeps, virtual_points):
    """What follows the keyframe's raw points for a frozen teacher: as in its own test pipeline, the nearest sweeps,
    keyframe first, no shuffle."""
    if not num_sweeps:
        return []
    again = [_keyframe(virtual_points)] if virtual_points else []
    return [*again, _sweeps(num_sweeps, virtual_points, test_mode=True)]


def _keyframe(virtual_points):
    return dict(type='LoadVirtualPointsFromFile') if virtual_points else KEYFRAME_POINTS


def _sweeps(num_sweeps, virtual_points, test_mode):
    """Merging step that adds the sweeps beside the keyframe; also zeroes the keyframe's own time column."""
    options = dict(sweeps_num=num_sweeps - 1, pad_empty_sweeps=True, remove_close=True, test_mode=test_mode)
    if virtual_points:
        return dict(type='LoadVirtualPointsFromMultiSweeps', **options)
    return dict(type='LoadLidarPointsFromMultiSweeps', **options)


def _image_steps(cameras, frames, decode_reduction, final_dim, image_aug, test_mode):
    return [
        dict(type='SelectAdjacentFrames', cameras=cameras, test_mode=test_mode, **(frames or {})),
        dict(type='LoadMultiViewImages', decode_reduction=decode_reduction),
        dict(type='AugmentMultiViewImages', final_dim=final_dim, test_mode=test_mode, **(image_aug or {})),
    ]


def _queue_steps(cameras, motion, decode_reduction, image, queue_length, distortion):
    return [
        dict(type='SelectKeyframeQueue', cameras=cameras, queue_length=queue_length),
        dict(type='LoadEgoMotion', **(motion or {})),
        dict(type='LoadMultiViewImages', decode_reduction=decode_reduction),
        *([] if distortion is None else [dict(type='PhotometricDistortion', **distortion)]),
        dict(type='NormalizePad', **(image or {})),
    ]


def _augmented_targets(class_names, point_cloud_range, bev_aug, with_points):
    """BEV augmentation at training, then what stays of points and boxes."""
    return [
        dict(type='GlobalBEVAug', **(bev_aug or {})),
        *([_points_filter(point_cloud_range)] if with_points else []),
        dict(type='ObjectRangeFilter', point_cloud_range=point_cloud_range),
        dict(type='ObjectNameFilter', classes=class_names),
    ]


def _points_filter(point_cloud_range):
    return dict(type='PointsRangeFilter', point_cloud_range=point_cloud_range)
