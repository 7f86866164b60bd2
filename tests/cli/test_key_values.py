"""``--cfg-options``: mmcv's grammar where mmcv is right, blanks and commas where it loses them."""

import pytest
from mmcv import DictAction

from dualdistill_cli import ToolParser, add_cfg_options
from dualdistill_cli.key_values import parse_value

AS_MMCV = [
    '1', '-1', '1.5', '1e-3', '.5', 'inf', '1_000', 'true', 'False', 'TRUE', 'None', 'none', 'abc', '', 'a.b[0]', 'a=b',
    '/data/nuscenes', 'http://x/y?z=1', 'a,b', '[a,b]', '(1,2)', '1,2.5,None,true', '[]', '()', ',', '1,', '[1,]',
    ',,a', '(1)', '[(1,2),[a,b],c]', '((1,2),(3,))', '[[1]]', '1, 2', '[1, 2, 3]', '( 1, (2, 3) )', '[None, true]',
    "'abc'", '"abc"', "'1'", '"[1,2]"', "'(a,b)'", "['a','b']", "'a','b'", '"\'a\'"', 'ab(c', '(old', 'a]',
]  # fmt: skip


@pytest.mark.parametrize('text', AS_MMCV)
def test_same_as_mmcv(text):
    ours, theirs = parse_value(text), DictAction._parse_iterable(text)
    assert repr(ours) == repr(theirs)  # 1, 1.0 and True are equal, their texts are not


@pytest.mark.parametrize(
    'text, value',
    [
        ('/my data/nuscenes', '/my data/nuscenes'),
        ('  /my data  ', '/my data'),
        ("' a '", ' a '),
        ('[/my data/a, /my data/b]', ['/my data/a', '/my data/b']),
        ('"/data/a, b"', '/data/a, b'),
        ("['a, b', c]", ['a, b', 'c']),
        ("joe's, anne's", ["joe's", "anne's"]),
        ('runs/a(1,2)', 'runs/a(1,2)'),  # mmcv: RecursionError
        ('(1,2),(3,4)', [(1, 2), (3, 4)]),  # mmcv: (1, '2)', ...
        ('(a) b', '(a) b'),
        ('1 000', '1 000'),  # mmcv: 1000
        ('1e−3', 1e-3),  # a typographic minus
        ('[−1, 2]', [-1, 2]),
        ('2020–2021', '2020–2021'),
    ],
)
def test_what_mmcv_loses(text, value):
    assert repr(parse_value(text)) == repr(value)


@pytest.fixture
def options():
    """Function: words of a command line -> the dict of its --cfg-options."""
    parser = ToolParser()
    parser.add_argument('config')
    add_cfg_options(parser)
    return lambda *words: parser.parse_args(['c.py', *words]).cfg_options


def test_flag_given_twice_adds_up_and_the_later_value_wins(options):
    assert options() is None
    found = options('--cfg-options', 'a.b=1', 'c=/my data', '--cfg-options', 'a.b=2', 'd=x=y')
    assert list(found.items()) == [('c', '/my data'), ('a.b', 2), ('d', 'x=y')]
    assert options('--cfg-options', 'a.b=1', 'ab=2', 'a=None') == {'ab': 2, 'a': None}
    assert options('--cfg-options', 'a=1') == {'a': 1}  # nothing is left of the call before


@pytest.mark.parametrize(
    'words, said',
    [
        (['data_root=/my', 'data'], '\'data\' is not KEY=VALUE; quote a value with blanks: "data_root=... data"'),
        (['a', '=', '1'], "'a' is not KEY=VALUE"),
        (['a=1', '=2'], "'=2' is not KEY=VALUE; write no blanks around ="),
        (['lr_config.step=[16,22'], '--cfg-options lr_config.step=[16,22: the brackets in [16,22 do not match'),
        (['model.x=2', 'model.x.y=3'], '--cfg-options model.x.y=3: model.x=2 was given before: one or the other'),
        (['x=(1,2]'], 'the brackets in (1,2] do not match'),
    ],
)
def test_one_clear_error(options, capsys, words, said):
    with pytest.raises(SystemExit) as stop:
        options('--cfg-options', *words)
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(said)
