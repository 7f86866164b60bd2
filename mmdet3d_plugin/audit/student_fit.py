"""Whether a teacher and a student speak about the same BEV."""

from ..distill.compatibility import check_heads
from ..models.detectors.base import BEVDetector
from .finding import Finding


def student_finding(student: BEVDetector, teacher: BEVDetector) -> Finding:
    """The distiller's own checks of extent and heads, as one verdict on two built detectors."""
    ours, theirs = (next(iter(model.bev_levels().values())).grid for model in (student, teacher))
    if not ours.covers_same(theirs):
        text = f'the student covers {ours}, the teacher {theirs}: x and y must be the same'
        return Finding('student', 'wrong', text)
    try:
        check_heads(student.head, teacher.head)
    except ValueError as error:
        return Finding('student', 'wrong', str(error))
    x_min, y_min, x_max, y_max = theirs.extent
    cells = teacher.head.confidence_grid
    size = '' if cells is None else f' and {cells.height}x{cells.width} cells'
    return Finding('student', 'ok', f'same x {x_min:g}..{x_max:g} and y {y_min:g}..{y_max:g} m, classes{size}')
