"""A head's part starts from the same part of another head."""

from torch import nn


def copy_weights(part: str, ours: nn.Module, theirs: nn.Module) -> None:
    """Load the weights of ``theirs`` into ``ours``.

    Args:
        part: what they are, for the message.
        ours: of the student.
        theirs: of the teacher.

    Raises:
        ValueError: a name or a shape differs.
    """
    mine, given = ours.state_dict(), theirs.state_dict()
    differences = [
        f'{name}: student {tuple(mine[name].shape) if name in mine else "none"}, '
        f'teacher {tuple(given[name].shape) if name in given else "none"}'
        for name in dict.fromkeys([*mine, *given])
        if name not in mine or name not in given or mine[name].shape != given[name].shape
    ]
    if differences:
        shown = '; '.join(differences[:3]) + ('; ...' if len(differences) > 3 else '')
        raise ValueError(
            f'inherit_head: {part.replace("_", " ")} of student and teacher differ in {len(differences)} entries '
            f'({shown}): make the heads equal or set inherit_head=False'
        )
    ours.load_state_dict(given)
