"""Columns of a table: the values of json, as arrays where they are numbers."""

import json

import numpy as np
import pytest

from mmdet3d_plugin.datasets.evaluation.table_columns import read_columns

ROWS = [
    dict(token='a', prev='', place=[0.1, 2, 3.25], points=4, tags=['x']),
    dict(token='b', prev='a', place=[1e-9, -5, 7], points=0, tags=[]),
]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / 'table.json'
    path.write_text(json.dumps(ROWS))
    return path


def test_values_are_those_of_json(table):
    columns = read_columns(table, ('token', 'prev'), ('place', 'points'), ('tags',))
    assert columns['token'] == ['a', 'b'] and columns['prev'] == ['', 'a'] and columns['tags'] == [['x'], []]
    assert columns['prev'][1] is columns['token'][0]  # one string in memory
    np.testing.assert_array_equal(columns['place'], [row['place'] for row in ROWS])
    np.testing.assert_array_equal(columns['points'], [4, 0])
    assert columns['place'].dtype == columns['points'].dtype == np.float64


def test_empty_table(table):
    table.write_text('[]')
    columns = read_columns(table, ('token',), ('place',))
    assert columns['token'] == [] and len(columns['place']) == 0


@pytest.mark.parametrize(
    'text, message',
    [
        ('[{"token": ', 'table.json is damaged'),
        ('[{"prev": ""}]', "no field 'token'"),
        ('[{"token": "a", "place": [1, 2]}, {"token": "b", "place": [1]}]', 'rows differ'),
        ('[{"token": "a", "place": "x"}]', 'table.json is damaged'),
    ],
)
def test_damaged_tables_are_named(table, text, message):
    table.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_columns(table, ('token',), ('place',))
