"""What teaches each part of a detector, on samples with labels and without."""


def supervision_rows(model):
    """Rows of a table: what is trained, by what on labelled samples, by what on unlabelled ones.

    Args:
        model (nn.Module): Detector, distilled or plain.

    Returns:
        list[tuple[str]]: Three cells each, the heading first.
    """
    rules = getattr(model, 'unlabelled', None)
    found = '' if rules is None else f"teacher's boxes above a score of {rules.score_threshold:g}"
    student = getattr(model, 'student', model)
    rows = [
        ('trained on', 'labelled samples', 'unlabelled samples'),
        ('detection', 'boxes', found if rules is not None and rules.pseudo_labels else '-'),
    ]
    if 'gt_depth' in student.targets:
        rows.append(('depth', 'LiDAR', 'LiDAR'))
    if rules is None:
        return rows
    if len(model.feature_losses):
        scale = ', scale times score' if rules.weight else ''
        rows.append(('levels', "teacher's maps; regions: boxes", f"teacher's maps; regions: {found}{scale}, no fp"))
    if model.response is not None:
        rows.append(('response', "teacher's head", "teacher's head"))
    return rows
