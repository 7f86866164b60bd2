"""Build-time checks that a student and a teacher speak about the same BEV, and that the level pairs make sense.

Every check raises a one-line ValueError that names both sides and the fix.
"""

from ..models.bev_features import BEVGrid

_LEVEL_KEYS = {'name', 'aligner', 'loss'}


def _lookup(levels, name, side):
    if name not in levels:
        raise ValueError(f'levels: {name!r} is not a level of the {side}, which has {", ".join(levels)}')
    return levels[name]


def pair_levels(level_cfgs, student, teacher):
    """Sizes of each configured level pair.

    Args:
        level_cfgs (list[dict]): ``name``, ``aligner`` and optionally ``loss``.
        student, teacher: objects with ``bev_levels()``.

    Returns:
        dict: name -> (student BEVLevel, teacher BEVLevel), in the order of the config.
    """
    pairs = {}
    of_student, of_teacher = student.bev_levels(), teacher.bev_levels()
    for cfg in level_cfgs:
        unknown = set(cfg) - _LEVEL_KEYS
        if unknown or not {'name', 'aligner'} <= set(cfg):
            raise ValueError(f'levels: an entry has name, aligner and optionally loss, got {sorted(cfg)}')
        name = cfg['name']
        if name in pairs:
            raise ValueError(f'levels: {name!r} is listed twice, keep one entry')
        pairs[name] = (_lookup(of_student, name, 'student'), _lookup(of_teacher, name, 'teacher'))
    if not pairs:
        raise ValueError('levels: nothing to distill, list at least one level')
    return pairs


def check_same_extent(student, teacher):
    """Both BEV maps must cover the same metres."""
    ours, theirs = student.point_cloud_range, teacher.point_cloud_range
    if any(abs(ours[i] - theirs[i]) > 1e-4 for i in (0, 1, 3, 4)):
        raise ValueError(
            f'student covers point_cloud_range {tuple(ours)}, teacher {tuple(theirs)}: x and y must be the same, '
            f'change the student config or take another teacher'
        )


def check_same_classes(student, teacher):
    """Both heads must have the same tasks with the same classes in the same order."""
    ours, theirs = ([list(names) for names in model.pts_bbox_head.class_names] for model in (student, teacher))
    if ours != theirs:
        raise ValueError(
            f'student head has tasks {ours}, teacher head {theirs}: make the tasks and their class order the same'
        )


def head_output_size(head):
    """(H, W) of a CenterPoint head's maps and targets, from its train_cfg."""
    factor = head.train_cfg['out_size_factor']
    width, height = (int(size) // factor for size in head.train_cfg['grid_size'][:2])
    return height, width


def check_heads(student, teacher):
    """Both heads must be able to draw targets, on the same cells."""
    sizes = {}
    for side, model in (('student', student), ('teacher', teacher)):
        if not model.pts_bbox_head.train_cfg:
            raise ValueError(f'{side} head cannot draw targets: give the {side} config a train_cfg with a pts section')
        sizes[side] = head_output_size(model.pts_bbox_head)
    if sizes['student'] != sizes['teacher']:
        ours, theirs = ('{}x{}'.format(*sizes[side]) for side in ('student', 'teacher'))
        raise ValueError(
            f'student head works on {ours} cells, teacher head on {theirs}: change the BEV stride of one of them'
        )


def check_false_positive_level(name, teacher_level, head):
    """A level with a false-positive term needs the heatmap's own grid."""
    height, width = head_output_size(head)
    if (teacher_level.height, teacher_level.width) != (height, width):
        raise ValueError(
            f'level {name!r}: its false-positive region needs heatmaps of {teacher_level.height}x{teacher_level.width} '
            f"cells, the teacher head gives {height}x{width}: set fp_weight=0 here, or use it on level 'head'"
        )


def level_grid(level, point_cloud_range):
    """BEVGrid of a level."""
    return BEVGrid.from_range(point_cloud_range, level)


def inherit_task_heads(student_head, teacher_head):
    """Copy the teacher's task heads into the student's head, so that the student starts where CRD leads.

    Raises:
        ValueError: names the parameters that differ in name or shape.
    """
    ours, theirs = student_head.task_heads.state_dict(), teacher_head.task_heads.state_dict()
    differences = [
        f'{name}: student {tuple(ours[name].shape) if name in ours else "none"}, '
        f'teacher {tuple(theirs[name].shape) if name in theirs else "none"}'
        for name in dict.fromkeys([*ours, *theirs])
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape
    ]
    if differences:
        shown = '; '.join(differences[:3]) + ('; ...' if len(differences) > 3 else '')
        raise ValueError(
            f'inherit_head: task heads of student and teacher differ in {len(differences)} entries ({shown}): '
            f'make the heads equal or set inherit_head=False'
        )
    student_head.task_heads.load_state_dict(theirs)
