"""``--cfg-options key.subkey=value ...``: the grammar of mmcv's DictAction, with blanks kept and mistakes named."""

import argparse
import contextlib
from typing import Any

from .dashes import PLAIN

_CLOSING = {'(': ')', '[': ']'}
_TRUTH = {'true': True, 'false': False}


class KeyValueAction(argparse.Action):
    """Collects words ``key=value`` in a dict; a flag that is given again adds to it, a key that is repeated wins."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Read the words of one flag."""
        options = dict(getattr(namespace, self.dest) or {})
        for word in values:
            key, equals, text = word.partition('=')
            key = key.strip()
            if not equals or not key:
                parser.error(f'{option_string}: {word!r} is not KEY=VALUE{_hint(word, options)}')
            try:
                value = parse_value(text)
            except ValueError as error:
                parser.error(f'{option_string} {word}: {error}')
            outer = next((other for other in options if key.startswith(f'{other}.')), None)
            if outer is not None:
                parser.error(f'{option_string} {word}: {outer}={options[outer]} was given before: one or the other')
            # a repeated key moves behind what was said before it, and takes what is below it along
            options = {other: kept for other, kept in options.items() if not f'{other}.'.startswith(f'{key}.')}
            options[key] = value
        setattr(namespace, self.dest, options)


def _hint(word, options):
    """What may have gone wrong with a word that is no pair."""
    if word.startswith('='):
        return '; write no blanks around ='
    return f'; quote a value with blanks: "{next(reversed(options))}=... {word}"' if options else ''


def parse_value(text: str) -> Any:
    """The value of one option.

    ``1``, ``1e-3``, ``true``, ``None`` and text; ``1,2``, ``[1,2]`` and ``(a,(b,c))`` are lists and tuples, nested as
    you like. Quotes that reach the program are taken off. They keep blanks at the ends and commas; brackets and
    numbers inside them mean the same as without. A comma inside brackets that do not enclose a whole element does not
    separate, as in the path ``runs/a(1,2)``.

    Args:
        text: What follows ``=``.

    Returns:
        int, float, bool, None, str, list or tuple.

    Raises:
        ValueError: A list whose brackets or quotes do not match.
    """
    text = text.strip()
    inner = _unquote(text)
    if inner is not None:
        return parse_value(inner) if _unquote(inner) is not None or _enclosed(inner) else _scalar(inner)
    if _enclosed(text):
        items = [parse_value(part) for part in _split(text[1:-1])]
        return tuple(items) if text[0] == '(' else items
    if ',' not in text:
        return _scalar(text)
    parts = _split(text)
    return _scalar(text) if parts == [text] else [parse_value(part) for part in parts]


def _unquote(text):
    """What one pair of quotes around the whole text holds; None without such a pair."""
    if len(text) > 1 and text[0] in '\'"' and text[-1] == text[0] and text[0] not in text[1:-1]:
        return text[1:-1]
    return None


def _enclosed(text):
    """bool: Whether one pair of brackets holds the whole text."""
    if text[-1:] != _CLOSING.get(text[:1]):
        return False
    return next(position for position, depth in _depths(text) if depth == 0) == len(text) - 1


def _depths(text):
    """Yield (position, open brackets up to and with it) of each character outside quotes."""
    still_open, quote, before = [], '', ','
    for position, character in enumerate(text):
        if quote:
            quote = '' if character == quote else quote
        elif character in '\'"' and before in ',([' and character in text[position + 1 :]:
            quote = character  # at the start of an element only: elsewhere it is an apostrophe
        else:
            if character in _CLOSING:
                still_open.append(_CLOSING[character])
            elif character in ')]' and (not still_open or still_open.pop() != character):
                raise ValueError(f'the brackets in {text} do not match')
            yield position, len(still_open)
        before = before if character.isspace() else character
    if still_open:
        raise ValueError(f'the brackets in {text} do not match')


def _split(text):
    """Parts between commas outside brackets and quotes; a comma at the end adds none."""
    commas = [position for position, depth in _depths(text) if text[position] == ',' and depth == 0]
    starts = [0, *(comma + 1 for comma in commas)]
    parts = [text[start:end] for start, end in zip(starts, [*commas, len(text)])]
    return parts if parts[-1].strip() else parts[:-1]


def _scalar(text):
    """A number, a truth value, None, or the text itself; a typographic minus counts as one in a number."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text.translate(PLAIN))
    return None if text == 'None' else _TRUTH.get(text.lower(), text)
