"""Sections of a report on standard output."""

from collections.abc import Iterable

from attnviz.cli.output import Notes
from attnviz.cli.terminal import open_terminal
from attnviz.views.report import HeadWeights, Section, WordInHeads
from attnviz.views.terminal.sections import TerminalSection


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
