"""Whether a teacher and a student speak about the same BEV."""

from ..distill import wiring
from .finding import Finding


def student_finding(student, teacher):
    """The distiller's own checks of range, classes and head size, as one verdict.

    Args:
        student, teacher (nn.Module): built detectors.

    Returns:
        Finding
    """
    for check in (wiring.check_same_extent, wiring.check_same_classes, wiring.check_heads):
        try:
            check(student, teacher)
        except ValueError as error:
            return Finding('student', 'wrong', str(error))
    x_min, y_min, _, x_max, y_max, _ = teacher.point_cloud_range
    rows, cols = wiring.head_output_size(teacher.pts_bbox_head)
    return Finding(
        'student', 'ok', f'same x {x_min:g}..{x_max:g} and y {y_min:g}..{y_max:g} m, tasks and {rows}x{cols} cells'
    )
