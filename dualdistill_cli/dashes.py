"""Flags as word processors print them: ``–virtual`` and ``—virtual`` for ``--virtual``."""

import re
from typing import Optional

# hyphen, non-breaking hyphen, figure dash, en dash, em dash, horizontal bar, minus, small and full-width forms
TYPOGRAPHIC = '\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d'
PLAIN = str.maketrans(dict.fromkeys(TYPOGRAPHIC, '-'))
_FLAG = re.compile(rf'([-{TYPOGRAPHIC}]+)([^\W\d_][\w{TYPOGRAPHIC}-]*)(=.*)?', re.S)
_NUMBER = re.compile(rf'[{TYPOGRAPHIC}](\.?\d.*)', re.S)


def mend_dashes(word: str) -> Optional[str]:
    """The flag, or the negative number, that a word with typographic dashes was meant to be.

    Args:
        word: One word of a command line.

    Returns:
        ``--name``, ``-n`` for a single letter, or ``-1``; what follows ``=`` is left as it is. None where there is
        nothing to mend: plain dashes, or a word that does not start with a dash.
    """
    flag, number = _FLAG.fullmatch(word), _NUMBER.fullmatch(word)
    if number:
        return f'-{number[1]}'
    if not flag or (flag[1] + flag[2]).isascii():
        return None
    name = flag[2].translate(PLAIN)
    return f'{"-" if len(name) == 1 else "--"}{name}{flag[3] or ""}'
