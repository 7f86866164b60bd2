"""What the doctor says of one thing."""

from dataclasses import dataclass, field

# 'note': works, and may surprise; 'wrong': one file or setting is of no use; 'fatal': nothing can run
VERDICTS = ('ok', 'note', 'wrong', 'fatal')


@dataclass(frozen=True)
class Line:
    """One line of the report.

    Args:
        subject (str): What was looked at.
        verdict (str): One of :data:`VERDICTS`.
        text (str): What was found and, when it is not 'ok', what to do.
        facts (dict): The same for programs: plain values.
    """

    subject: str
    verdict: str
    text: str
    facts: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise ValueError(f'verdict must be one of {VERDICTS}, got {self.verdict!r}')


def first_line(error: BaseException) -> str:
    """The kind of an error and the first line of its text that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ': '.join([type(error).__name__, *lines[:1]])
