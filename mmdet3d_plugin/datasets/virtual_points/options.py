"""Command line values that several tools read."""

import argparse


def parse_shard(text):
    """'1/4' -> (1, 4)."""
    number, _, count = text.partition('/')
    if not (number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise argparse.ArgumentTypeError(f'{text!r}: expected i/n with i from 0 to n-1, as in 0/4')
    return int(number), int(count)


def parse_class(text):
    """'person=pedestrian' -> ('person', 'pedestrian')."""
    category, _, name = text.rpartition('=')
    if not category or not name:
        raise argparse.ArgumentTypeError(f'{text!r}: expected CATEGORY=CLASS, as in person=pedestrian')
    return category, name
