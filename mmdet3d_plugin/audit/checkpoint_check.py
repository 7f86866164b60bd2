"""Every verdict on a detector's checkpoint that needs no data, and what follows from it."""

import re

from ..checkpoints.identity import detector_facts
from .finding import Finding
from .meta_evidence import class_finding, range_finding, settings_finding, version_finding
from .size_evidence import size_order_finding, task_order_finding
from .weight_evidence import coverage_finding, key_coverage, training_finding

_HEAD = 'pts_bbox_head'
# checks that prove the outputs to mean something else than the config says
MEANING = ('classes', 'range', 'settings', 'boxes by version')


def meaning_findings(model, meta):
    """Judge by its meta whether a file's outputs mean what the model's do.

    Args:
        model (nn.Module): detector or distiller as its config builds it.
        meta (dict): meta of the file.

    Returns:
        list[Finding]: empty for a detector that has no classes, range or settings.
    """
    facts = detector_facts(model)
    findings = [class_finding(meta, facts['tasks'])] if 'tasks' in facts else []
    if 'point_cloud_range' in facts:
        findings += [range_finding(meta, facts), settings_finding(meta, facts)]
    return [*findings, version_finding(meta)] if findings else []


def output_findings(model, state, training):
    """Judge by the weights of the head's size outputs, where there are trained ones.

    Args:
        model (nn.Module): detector with a CenterPoint head; takes over the head's weights of ``state``.
        state (dict): state dict of the file.
        training (Finding): see :func:`training_finding`.

    Returns:
        list[Finding]
    """
    head = getattr(model, _HEAD)
    rows = key_coverage(model, state)
    whole_head = any(row.module == _HEAD and row.found == row.keys for row in rows)
    if training.verdict == 'wrong' or not whole_head:
        reason = 'the head has no trained weights to tell from'
        return [Finding(f'{what} by weights', 'unknown', reason) for what in ('boxes', 'classes')]
    prefix = f'{_HEAD}.'
    head.load_state_dict(
        {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}, strict=False
    )
    return [size_order_finding(head), task_order_finding(head)]


def checkpoint_findings(model, state, meta):
    """Judge a checkpoint by its keys, weights and meta.

    Args:
        model (nn.Module): CenterPoint detector as its config builds it; takes over the head's weights of ``state``
            where all of them fit.
        state (dict): state dict of the file.
        meta (dict): meta of the file.

    Returns:
        list[Finding]
    """
    training = training_finding(model, state)
    found = [coverage_finding(key_coverage(model, state)), training, *meaning_findings(model, meta)]
    return [*found, *output_findings(model, state, training)] if hasattr(model, _HEAD) else found


def judge(findings, what, fatal, logger):
    """Act on findings: an error for a fatal one that is wrong, a warning for any other.

    Args:
        findings (list[Finding]): verdicts.
        what (str): what they are about, first words of every line.
        fatal (Collection[str]): checks of which a wrong one is an error.
        logger (logging.Logger): gets the lines.

    Raises:
        ValueError: a fatal check turned out wrong.
    """
    wrong = [finding for finding in findings if finding.verdict == 'wrong']
    for finding in sorted(wrong, key=lambda finding: finding.check not in fatal):
        text = f'{what}: {finding.check}: {finding.text}'
        if finding.check in fatal:
            raise ValueError(text)
        logger.warning(text)


def tell_unchecked(findings, what, logger):
    """One line on what a file does not tell about the meaning of its outputs.

    Args:
        findings (list[Finding]): verdicts.
        what (str): what they are about, first words of the line.
        logger (logging.Logger): gets the line.
    """
    unknown = [finding.check for finding in findings if finding.verdict == 'unknown' and finding.check in MEANING]
    if unknown:
        logger.info(f'{what}: could not be checked, as the file does not tell: {", ".join(unknown)}')


def file_findings(path, sha256):
    """Whether a file is whole, where its name ends in its hash, as in OpenMMLab's model zoo (``...-191a3822.pth``).

    Args:
        path (str): checkpoint file.
        sha256 (str): its hash, hexadecimal.

    Returns:
        list[Finding]: empty when the name promises nothing.
    """
    promised = re.search(r'-([0-9a-f]{8})\.\w+$', path)
    if promised is None:
        return []
    if not sha256.startswith(promised[1]):
        return [Finding('file', 'wrong', f'its hash is {sha256[:8]}, its name promises {promised[1]}: get it again')]
    return [Finding('file', 'ok', 'its hash is the one that its name promises')]
