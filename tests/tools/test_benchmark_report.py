"""Result files of the benchmark become tables of a document."""

import json

import pytest


@pytest.fixture
def result_file(tmp_path):
    """Function: extra entries -> result file ops.json."""

    def write(**extra):
        machine = dict(processor='P', cores=2, threads=1, load_before=0.1, device='cpu', torch='2')
        tables = dict(regions=[['regions', 'ours'], ['time', '1']])
        report = dict(dict(command='benchmark.py ops', machine=machine, tables=tables), **extra)
        (tmp_path / 'ops.json').write_text(json.dumps(report))
        return str(tmp_path / 'ops.json')

    return write


def test_tables_go_into_documents(tool, result_file, tmp_path, capsys):
    document = tmp_path / 'doc.md'
    document.write_text('a\n<!-- table ops/regions -->\nold\n<!-- end of table -->\nb\n')
    for _ in range(2):
        tool('benchmark').main(['tables', result_file(), '--into', str(document)])
        assert document.read_text() == (
            'a\n<!-- table ops/regions -->\n\n| regions | ours |\n|---|---|\n| time | 1 |\n\n'
            '`benchmark.py ops`: 1 thread(s) of P, 2 cores, load before 0.1, torch 2.\n\n<!-- end of table -->\nb\n'
        )
    assert '1 table(s) written' in capsys.readouterr().out


@pytest.mark.parametrize(
    'extra, text, message',
    [
        (dict(tiny=True), '<!-- table ops/regions -->\n<!-- end of table -->', 'made with --tiny'),
        ({}, 'nothing', r'has no comment <!-- table ops/'),
        ({}, '<!-- table ops/other -->\n<!-- end of table -->', 'ops.json has no table other: regions'),
    ],
)
def test_tables_that_cannot_be_written(tool, result_file, tmp_path, extra, text, message):
    document = tmp_path / 'doc.md'
    document.write_text(text)
    with pytest.raises(ValueError, match=message):
        tool('benchmark').main(['tables', result_file(**extra), '--into', str(document)])
    assert document.read_text() == text


def test_a_file_that_is_no_report(tool, tmp_path):
    (tmp_path / 'ops.json').write_text('{"a')
    with pytest.raises(ValueError, match=r'ops\.json is not what --out of a benchmark wrote'):
        tool('benchmark').main(['tables', str(tmp_path / 'ops.json'), '--into', str(tmp_path / 'doc.md')])


def test_the_performance_document_asks_for_tables_there_are(tool, repo_root):
    text = (repo_root / 'docs' / 'performance.md').read_text()
    places = [match.group('file', 'table') for match in tool('benchmarks.report').TABLE_PLACE.finditer(text)]
    known = dict(
        ops=('bev_pooling', 'regions', 'projection_order'),
        attention=('sampling', 'spatial_attention', 'history'),
        sparse=('submanifold', 'strided'),
        step=('step',),
        data=('steps', 'loader'),
        images=('images',),
        inference=('inference',),
        evaluation=('evaluation',),
        flops=('flops',),
    )
    assert len(places) >= 8 and all(table in known[file.split('_')[0]] for file, table in places)
    assert len(places) == text.count('\n<!-- table ') == text.count('\n<!-- end of table -->\n')
