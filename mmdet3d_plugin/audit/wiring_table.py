"""The wiring of a built detector as text: levels, aligners, losses, parameters."""

from ..distill.wiring import level_entries


def wiring_table(model, model_cfg):
    """Text table of a detector, distilled or plain.

    Args:
        model (nn.Module): built from ``model_cfg``.
        model_cfg (dict): ``cfg.model``.

    Returns:
        str: several lines, none longer than its longest entry needs.
    """
    if 'levels' not in model_cfg:
        levels = [(name, str(level)) for name, level in model.bev_levels().items()]
        rows = [(model_cfg['type'], *_counts(model))]
        return '\n'.join(
            [*columns([('level', 'BEV map'), *levels]), '', *columns([('parameters', 'trained', 'frozen'), *rows])]
        )
    parts = [columns(_level_rows(model, model_cfg)), _option_lines(model_cfg), columns(_parameter_rows(model))]
    return '\n\n'.join('\n'.join(lines) for lines in parts if lines)


def columns(rows):
    """Rows of cells as lines with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _level_rows(model, model_cfg):
    entries = level_entries(model_cfg['levels'])
    ours, theirs = model.student.bev_levels(), model.teacher.bev_levels()
    losses = model.distill['losses']
    rows = [('level', 'student', 'aligner', 'teacher', 'loss terms and weights')]
    for name in dict.fromkeys([*ours, *theirs]):
        aligner = _call(entries[name]['aligner']) if name in entries else '-'
        terms = _terms(losses[name]) if name in losses else '-'
        rows.append((name, str(ours.get(name, '-')), aligner, str(theirs.get(name, '-')), terms))
    response = model_cfg.get('response')
    text = '-' if response is None else f'{response["type"]} {model.response.loss_weight:g}'
    rows.append(('response', '', '', "teacher's head", text))
    return rows


def _terms(loss):
    weights = getattr(loss, 'weights', None)
    return ', '.join(f'{name} {value:g}' for name, value in weights.items()) if weights else type(loss).__name__


def _call(cfg, skip=()):
    """'AOAAligner(attention=False)' of a component config."""
    options = ', '.join(f'{key}={value!r}' for key, value in cfg.items() if key not in ('type', *skip))
    return f'{cfg["type"]}({options})' if options else cfg['type']


def _option_lines(model_cfg):
    """What the loss configs say besides their weights."""
    lines = []
    for name, entry in level_entries(model_cfg['levels']).items():
        loss = entry.get('loss')
        if loss:
            lines.append((name, _call(loss, [key for key in loss if key.endswith('_weight')])))
    if model_cfg.get('response') is not None:
        lines.append(('response', _call(model_cfg['response'], ['loss_weight'])))
    lines.append(('inherit_head', str(model_cfg.get('inherit_head', True))))
    return columns(lines)


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
