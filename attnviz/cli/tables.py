"""Tables of numbers on standard output: on the screen, or as data."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from attnviz.cli import options
from attnviz.cli.output import write_standard_output
from attnviz.cli.sections import write_sections
from attnviz.formats.tables import PORTIONS, Table
from attnviz.views.table_report import TableReport

FORMATS = (options.TABLE, *PORTIONS)
Form = Annotated[str, options.choice(FORMATS, "--format", line="Print a table, or data.")]


def write_tables(
    portions: Iterable[Sequence[Table]], form: str, report: TableReport, color: str, width: int | None
) -> None:
    """Write tables, some at a time as they come, as data of this format, or else as a report on the screen."""
    if form not in PORTIONS:
        each = (table for tables in portions for table in tables)
        write_sections((section for table in each for section in report.sections(table)), color, width)
        return
    for piece in PORTIONS[form](portions):
        write_standard_output(piece)
