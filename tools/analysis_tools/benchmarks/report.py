"""What a run leaves: numbers by name and tables of text, in one JSON file; the tables also go into documents."""

import json
import os
import platform
import re
from pathlib import Path

import torch

from dualdistill_cli.tables import as_markdown
from mmdet3d_plugin.audit.wiring_table import columns
from mmdet3d_plugin.structures.atomic_file import replace_when_done

TABLE_PLACE = re.compile(r'(<!-- table (?P<file>[\w.-]+)/(?P<table>\w+) -->\n).*?(<!-- end of table -->)', re.S)


def machine(device):
    """Kind of processor, cores, threads, device, torch and what else the machine was doing; no names."""
    return dict(
        processor=_processor(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        load_before=round(os.getloadavg()[0], 2),
        device=torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
        torch=torch.__version__,
    )


def _processor():
    """The model's name where Linux tells it, else the architecture; and the instructions that torch uses."""
    info = Path('/proc/cpuinfo')
    found = re.search(r'^model name\s*:\s*(.+)$', info.read_text(), re.M) if info.is_file() else None
    name = found.group(1) if found else platform.machine()
    return f'{name} ({torch.backends.cpu.get_cpu_capability()})'


def measure_and_report(program, argv, args, measure):
    """Measure, print the tables, and write them with the numbers to ``args.out`` where one is given.

    Args:
        program (str): what the command is called in the report.
        argv (list[str]): its arguments.
        args (argparse.Namespace): the same, parsed; with ``device`` and ``out``.
        measure (Callable): args -> (numbers by name, tables by name: rows of cells, header first).
    """
    where = machine(args.device)  # before: the load that is reported is not the measurement's own
    numbers, tables = measure(args)
    report = dict(command=' '.join([program, *argv]), machine=where, **numbers, tables=tables)
    show(report)
    if args.out:
        save(report, args.out)


def describe(report):
    """One line: what was measured, how often, on what."""
    on = report['machine']
    device = '' if on['device'] == 'cpu' else f'{on["device"]}, '
    return (
        f'`{report["command"]}`: {device}{on["threads"]} thread(s) of {on["processor"]}, {on["cores"]} cores, '
        f'load before {on["load_before"]}, torch {on["torch"]}.'
    )


def show(report):
    """Print the tables of a report."""
    print(describe(report))
    for rows in report['tables'].values():
        print('\n' + '\n'.join(columns(rows)))


def save(report, path):
    """Write a report as JSON."""
    with replace_when_done(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + '\n')


def fill_document(document, paths):
    """Write the tables of report files into a Markdown document, between the comments that name them.

    ``<!-- table ops/bev_pool -->`` to ``<!-- end of table -->`` is replaced by the table ``bev_pool`` of ``ops.json``.

    Args:
        document (Path): Markdown file, rewritten.
        paths (list[Path]): report files.

    Returns:
        int: tables written.

    Raises:
        ValueError: a file that is no report, a report of ``--tiny`` sizes, a table that a named report lacks, or a
            report for which the document has no place.
    """
    reports = {path.stem: _read(path) for path in paths}
    for name, report in reports.items():
        if report.get('tiny'):
            raise ValueError(f'{name}.json was made with --tiny: its numbers mean nothing, measure again without')
    text = document.read_text()
    places = [match['file'] for match in TABLE_PLACE.finditer(text)]
    homeless = [name for name in reports if name not in places]
    if homeless:
        raise ValueError(f'{document} has no comment <!-- table {homeless[0]}/... -->: rename the file or add a place')

    def table(match):
        report = reports.get(match['file'])
        if report is None:
            return match[0]
        if match['table'] not in report['tables']:
            raise ValueError(f'{match["file"]}.json has no table {match["table"]}: {", ".join(report["tables"])}')
        return f'{match[1]}\n{as_markdown(report["tables"][match["table"]])}\n\n{describe(report)}\n\n{match[4]}'

    with replace_when_done(document) as temporary:
        temporary.write_text(TABLE_PLACE.sub(table, text))
    return sum(name in reports for name in places)


def _read(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f'{path} is not what --out of a benchmark wrote ({error})') from error
