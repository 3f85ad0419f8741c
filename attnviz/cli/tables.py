"""Tables of numbers on standard output: on the screen, or as data."""

from collections.abc import Iterable, Sequence

from attnviz.cli.output import Notes, write_standard_output
from attnviz.cli.terminal import open_terminal
from attnviz.formats.tables import PORTIONS, Table
from attnviz.views.report import HeadWeights, Section, WordInHeads
from attnviz.views.table_report import TableReport
from attnviz.views.terminal.sections import TerminalSection


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


def write_sections(sections: Iterable[Section], color: str, width: int | None) -> None:
    """Print sections on the screen, with a note if not all rows are."""
    screen, say = open_terminal(color, width), Notes()
    for section in sections:
        if note := note_cut([section]):
            say(note)
        screen.print(TerminalSection(section))


def note_cut(sections: Iterable[Section]) -> str | None:
    """Return a note on tables that do not show all their rows, and on what does."""
    cut = [section for section in sections if isinstance(section, HeadWeights | WordInHeads) and section.cut]
    if not cut:
        return None
    of_text = any(isinstance(section, HeadWeights) for section in cut)
    other = "--by bins:64 stretches of the text" if of_text else "--layer and --head choose heads"
    return f"Note: Tables show {cut[0].rows} rows: --all-rows shows all, {other}."
