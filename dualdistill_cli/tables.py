"""Rows of cells as a table, for a console and for Markdown."""


def as_text(rows: list, last_left: str) -> str:
    """Align rows, the header first, for a console.

    Args:
        rows (list[list[str]]): Cells; every row has as many as the header.
        last_left: Header of the last column that is aligned to the left; the numbers after it go to the right.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = rows[0].index(last_left)
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if column <= left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def as_markdown(rows: list) -> str:
    """Rows of cells, the header first, as a Markdown table."""
    lines = ['| ' + ' | '.join(row) + ' |' for row in rows]
    return '\n'.join([lines[0], '|' + '---|' * len(rows[0]), *lines[1:]])
