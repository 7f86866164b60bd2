"""The argument parser of every tool."""

import argparse
import sys

from .dashes import mend_dashes


class ToolParser(argparse.ArgumentParser):
    """Parser whose help is a tool's docstring, and which reads typographic dashes as plain ones, saying so.

    Args:
        description: Shown above the flags, line breaks as they are; a tool gives its ``__doc__``.
        **kwargs: As in :class:`argparse.ArgumentParser`.
    """

    def __init__(self, description=None, **kwargs):
        kwargs.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
        super().__init__(description=description, **kwargs)

    def parse_known_args(self, args=None, namespace=None):
        """As in argparse, after mending; all words behind a lone ``--`` are taken as they are."""
        words = list(sys.argv[1:] if args is None else args)
        for position, word in enumerate(words):
            if word == '--':
                break
            mended = mend_dashes(word)
            if mended is not None:
                print(f'read {word} as {mended} (a typographic dash)', file=sys.stderr)
                words[position] = mended
        return super().parse_known_args(words, namespace)
