"""A verdict on a file: what was looked at, how it turned out, why, and what follows from it."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

VERDICTS = ('ok', 'wrong', 'unknown')
# checks that prove the outputs to mean something else than the config says
MEANING = ('classes', 'range', 'settings', 'boxes by version')


@dataclass(frozen=True)
class Finding:
    """A verdict in one line.

    Attributes:
        check: what was looked at.
        verdict: 'ok', 'wrong' (proven), or 'unknown' (the evidence decides nothing).
        text: the evidence, and the way out when it is wrong.
    """

    check: str
    verdict: str
    text: str

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f'verdict must be one of {VERDICTS}, got {self.verdict!r}')

    def __str__(self) -> str:
        return f'{self.verdict.upper() if self.verdict == "wrong" else self.verdict:<8}{self.check}: {self.text}'


def judge(findings: Iterable[Finding], what: str, fatal: Collection[str], logger: logging.Logger) -> None:
    """Act on findings: an error for a fatal one that is wrong, a warning for any other.

    Args:
        findings: verdicts.
        what: what they are about, first words of every line.
        fatal: checks of which a wrong one is an error.
        logger: gets the lines.

    Raises:
        ValueError: a fatal check turned out wrong.
    """
    wrong = [finding for finding in findings if finding.verdict == 'wrong']
    for finding in sorted(wrong, key=lambda finding: finding.check not in fatal):
        text = f'{what}: {finding.check}: {finding.text}'
        if finding.check in fatal:
            raise ValueError(text)
        logger.warning(text)


def tell_unchecked(findings: Iterable[Finding], what: str, logger: logging.Logger) -> None:
    """One line on what a file does not tell about the meaning of its outputs.

    Args:
        findings: verdicts.
        what: what they are about, first words of the line.
        logger: gets the line.
    """
    unknown = [finding.check for finding in findings if finding.verdict == 'unknown' and finding.check in MEANING]
    if unknown:
        logger.info(f'{what}: could not be checked, as the file does not tell: {", ".join(unknown)}')
