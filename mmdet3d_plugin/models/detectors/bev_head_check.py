"""Build-time check of the sections of a detector's settings: which part goes to its head."""


def head_settings(sections, name):
    """The head's part of a detector's ``train_cfg`` or ``test_cfg``.

    Args:
        sections (dict | None): dict(pts=...), as mmdet3d nests them.
        name (str): 'train_cfg' or 'test_cfg', for the message.

    Returns:
        dict | None: None for a head without these settings.

    Raises:
        ValueError: a section that nothing reads, or none for the head.
    """
    if not sections:
        return None
    unknown = sorted(set(sections) - {'pts'})
    if unknown:
        raise ValueError(f'{name}: unknown section {unknown[0]!r}, the head reads {name}.pts alone')
    return sections['pts']
