"""The wiring of a built detector as text: levels, aligners, losses, parameters."""

from dataclasses import asdict

from .supervision import supervision_rows


def wiring_table(model, model_cfg, unlabelled=False):
    """Text table of a detector, distilled or plain.

    Args:
        model (nn.Module): built from ``model_cfg``.
        model_cfg (dict): ``cfg.model``.
        unlabelled (bool): also tell what is trained on samples without labels.

    Returns:
        str: several lines, none longer than its longest entry needs.
    """
    if 'levels' in model_cfg:
        parts = [columns(_level_rows(model, model_cfg)), _option_lines(model, model_cfg)]
        parameters = _parameter_rows(model)
    else:
        levels = [(name, str(level)) for name, level in model.bev_levels().items()]
        parts = [columns([('level', 'BEV map'), *levels])]
        parameters = [('parameters', 'trained', 'frozen'), (model_cfg['type'], *_counts(model))]
    parts += [columns(supervision_rows(model))] if unlabelled else []
    parts.append(columns(parameters))
    return '\n\n'.join('\n'.join(lines) for lines in parts if lines)


def columns(rows):
    """Rows of cells as lines with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _level_rows(model, model_cfg):
    ours, theirs = model.student.bev_levels(), model.teacher.bev_levels()
    rows = [('level', 'student', 'aligner', 'teacher', 'loss terms and weights')]
    for name in dict.fromkeys([*ours, *theirs, *model.entries]):
        if name not in model.entries:  # a level that no entry of its name takes
            rows.append((name, str(ours.get(name, '-')), '-', str(theirs.get(name, '-')), '-'))
            continue
        entry, losses = model.entries[name], model.distill['losses']
        sides = [_side(levels, level, name) for levels, level in ((ours, entry.student), (theirs, entry.teacher))]
        terms = _terms(losses[name]) if name in losses else '-'
        rows.append((name, sides[0], _call(entry.aligner), sides[1], terms))
    response = model_cfg.get('response')
    text = '-' if response is None else f'{response["type"]} {model.response.loss_weight:g}'
    reads = '' if response is None else f'aligned {model.response_level}'
    rows.append(('response', reads, '', "teacher's head", text))
    return rows


def _side(levels, level, entry):
    """'256@32x32', and the level's own name where the entry is called otherwise."""
    return str(levels[level]) if level == entry else f'{level} {levels[level]}'


def _terms(loss):
    if not loss.weights:
        return f'{type(loss).__name__} {loss.loss_weight:g}'
    return ', '.join(f'{name} {loss.weight(name):g}' for name in loss.weights)


def _call(cfg, skip=()):
    """'AOAAligner(attention=False)' of a component config."""
    options = ', '.join(f'{key}={value!r}' for key, value in cfg.items() if key not in ('type', *skip))
    return f'{cfg["type"]}({options})' if options else cfg['type']


def _option_lines(model, model_cfg):
    """What the loss configs say besides their weights."""
    lines = []
    for name, entry in model.entries.items():
        if entry.loss:
            lines.append((name, _call(entry.loss, [key for key in entry.loss if key.endswith('_weight')])))
    lines += _region_lines(model.entries)
    if model_cfg.get('response') is not None:
        lines.append(('response', _call(model_cfg['response'], ['loss_weight', 'level'])))
    lines.append(('inherit_head', str(model_cfg.get('inherit_head', True))))
    return columns(lines)


def _region_lines(entries):
    """How the cells of each level are divided, entries with the same rules on one line."""
    shared = {}
    for name, entry in entries.items():
        if entry.loss:
            shared.setdefault(entry.regions, []).append(name)
    texts = {rules: ', '.join(f'{key}={value!r}' for key, value in asdict(rules).items()) for rules in shared}
    return [('regions', f'{texts[rules]} ({", ".join(names)})') for rules, names in shared.items()]


def _counts(module):
    """Numbers of trained and of frozen parameters, as text."""
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    frozen = sum(parameter.numel() for parameter in module.parameters() if not parameter.requires_grad)
    return f'{trained:,}', f'{frozen:,}'


def _parameter_rows(model):
    rows = [('parameters', 'trained', 'frozen'), ('student', *_counts(model.student))]
    rows += [(f'aligner {name}', *_counts(aligner)) for name, aligner in model.distill['aligners'].items()]
    rows += [(f'loss {name}', *_counts(loss)) for name, loss in model.distill['losses'].items()]
    rows.append(('teacher', *_counts(model.teacher.module)))
    return [(name, trained.rjust(12), frozen.rjust(12)) for name, trained, frozen in rows]
