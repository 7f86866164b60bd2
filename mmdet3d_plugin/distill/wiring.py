"""Build-time checks that a student and a teacher speak about the same BEV, and that the level pairs make sense.

Every check raises a one-line ValueError that names both sides and the fix.
"""

from ..models.bev_features import BEVGrid


def level_entries(levels):
    """Level configs by name, without ``name`` inside.

    Args:
        levels (dict | list): {name: dict(aligner=..., loss=...)}, where None switches an inherited level off, or a
            list of dict(name=..., aligner=..., loss=...).

    Returns:
        dict: name -> dict with ``aligner`` and optionally ``loss``.
    """
    if not isinstance(levels, dict):
        names = [entry['name'] for entry in levels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f'levels: {", ".join(twice)} listed twice, keep one entry each')
        levels = {entry['name']: {key: entry[key] for key in entry if key != 'name'} for entry in levels}
    entries = {name: dict(entry) for name, entry in levels.items() if entry is not None}
    for name, entry in entries.items():
        if not {'aligner'} <= set(entry) <= {'aligner', 'loss'}:
            raise ValueError(f'levels: {name!r} takes aligner and optionally loss, got {sorted(entry)}')
    if not entries:
        raise ValueError('levels: nothing to distill, list at least one level')
    return entries


def pair_levels(names, student, teacher):
    """Sizes of each configured level pair.

    Args:
        names (Iterable[str]): level names.
        student, teacher: objects with ``bev_levels()``.

    Returns:
        dict: name -> (student BEVLevel, teacher BEVLevel).
    """
    sides = {'student': student.bev_levels(), 'teacher': teacher.bev_levels()}
    for name in names:
        for side, levels in sides.items():
            if name not in levels:
                raise ValueError(f'levels: {name!r} is not a level of the {side}, which has {", ".join(levels)}')
    return {name: (sides['student'][name], sides['teacher'][name]) for name in names}


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
