"""Whether a teacher and a student speak about the same BEV."""

from ..checkpoints.findings import Finding
from ..distill.compatibility import check_heads, check_same_extent
from ..models.detectors.base import BEVDetector


def student_finding(student: BEVDetector, teacher: BEVDetector) -> Finding:
    """The distiller's own checks of extent and heads, as one verdict on two built detectors."""
    try:
        check_same_extent(student, teacher)
        check_heads(student.head, teacher.head)
    except ValueError as error:
        return Finding('student', 'wrong', str(error))
    x_min, y_min, x_max, y_max = next(iter(teacher.bev_levels().values())).grid.extent
    cells = teacher.head.confidence_grid
    size = '' if cells is None else f' and {cells.height}x{cells.width} cells'
    return Finding('student', 'ok', f'same x {x_min:g}..{x_max:g} and y {y_min:g}..{y_max:g} m, classes{size}')
