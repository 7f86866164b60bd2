"""One verdict of an audit: what was looked at, how it turned out, and why."""

from dataclasses import dataclass

VERDICTS = ('ok', 'wrong', 'unknown')


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

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise ValueError(f'verdict must be one of {VERDICTS}, got {self.verdict!r}')

    def __str__(self):
        return f'{self.verdict.upper() if self.verdict == "wrong" else self.verdict:<8}{self.check}: {self.text}'
