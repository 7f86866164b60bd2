"""Typographic dashes are read as plain ones, and it is said."""

import pytest

from dualdistill_cli import ToolParser
from dualdistill_cli.dashes import mend_dashes


@pytest.mark.parametrize(
    'word, mended',
    [
        ('–virtual', '--virtual'),
        ('—virtual', '--virtual'),
        ('−virtual', '--virtual'),
        ('––virtual', '--virtual'),
        ('-–virtual', '--virtual'),
        ('--cfg–options', '--cfg-options'),
        ('--work‑dir=outputs/2020–2021', '--work-dir=outputs/2020–2021'),
        ('–h', '-h'),
        ('−1', '-1'),
        ('–.5', '-.5'),
    ],
)
def test_mended(word, mended):
    assert mend_dashes(word) == mended


@pytest.mark.parametrize('word', ['--virtual', '-h', '-1', 'a–b', 'data/2020–2021', '–', '--', '', '--out=a–b', '—=x'])
def test_left_alone(word):
    assert mend_dashes(word) is None


def test_parser_says_what_it_read(capsys):
    parser = ToolParser('Title.\n\n    as it is')
    parser.add_argument('--seed', type=int)
    parser.add_argument('--virtual', action='store_true')
    parser.add_argument('rest', nargs='*')
    args = parser.parse_args(['–virtual', '—seed', '−3', 'a–b', '--', '–x'])
    assert (args.virtual, args.seed, args.rest) == (True, -3, ['a–b', '–x'])
    said = capsys.readouterr().err.splitlines()
    assert said == [
        'read –virtual as --virtual (a typographic dash)',
        'read —seed as --seed (a typographic dash)',
        'read −3 as -3 (a typographic dash)',
    ]
    assert 'Title.\n\n    as it is\n' in parser.format_help()


def test_words_of_subcommands_too(capsys):
    parser = ToolParser()
    parser.add_subparsers(dest='subject').add_parser('ops').add_argument('--tiny', action='store_true')
    assert parser.parse_args(['ops', '–tiny']).tiny
    assert capsys.readouterr().err.count('read –tiny as --tiny') == 1
