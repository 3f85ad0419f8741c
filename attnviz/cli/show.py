"""`attnviz show`: attention in the terminal, in the browser, or as data on standard output."""

from collections.abc import Callable
from typing import Annotated, ClassVar

import typer
from msgspec import Struct
from msgspec.structs import replace
from rich.text import Text

from attnviz.cli import options
from attnviz.cli.groups import group_options
from attnviz.cli.outcomes import for_each
from attnviz.cli.output import Notes, write_standard_output
from attnviz.cli.protocols import choose_protocol
from attnviz.cli.request import Input, ModelChoice, Wanted, make_job
from attnviz.cli.sections import note_cut
from attnviz.cli.terminal import open_terminal
from attnviz.errors import RecordError, UsageError
from attnviz.formats.writing import STREAMS, Result
from attnviz.measures.word_rows import select_rows
from attnviz.pipeline.outcomes import KeepWeights, stream_outcomes
from attnviz.text import visible
from attnviz.views.report import Glance, Report, note_faint
from attnviz.views.terminal.cells import shortened
from attnviz.views.terminal.sections import TerminalSection, is_drawn
from attnviz.views.terminal.thumbnails import brush_of
from attnviz.vocabulary import ROWS, Orientation, PictureProtocol

_FORMATS = (options.TABLE, *STREAMS)
_PROTOCOLS = options.AUTO, *(each.value for each in PictureProtocol)
_LONGEST_HEADING = 500  # columns that the text may take above its tables

_Writer = Callable[[Result], None]


class Tables(Struct, frozen=True, kw_only=True):
    """The extent of tables, and whether weights in them are drawn as pictures."""

    HEADING: ClassVar = "Options"

    every: Annotated[
        bool, typer.Option("--all", help="Show the weights of every head, not only of the most telling one.")
    ] = False
    top: Annotated[int, typer.Option(min=1, help="List this many of the strongest links, or tokens.")] = 5
    all_rows: options.AllRows = False
    picture: Annotated[
        bool, typer.Option("--picture", help="On a terminal, draw weights as a picture and not in numbers.")
    ] = False
    protocol: Annotated[
        str,
        options.choice(
            _PROTOCOLS, line="Send pictures to the terminal in this protocol, or as blocks; auto asks which it knows."
        ),
    ] = options.AUTO

    def report(self, wanted: Wanted, *, transpose: bool) -> Report:
        """Return the report on the wanted weights; a head that is named is shown whichever is most telling."""
        every = self.every or bool(wanted.layer and wanted.head)
        return Report(wanted.token, every, self.top, Orientation(transpose), None if self.all_rows else ROWS)


@group_options
def show(
    given: Input,
    model: ModelChoice,
    wanted: Wanted,
    tables: Tables,
    form: Annotated[str, options.choice(_FORMATS, "--format", line="Print tables, or data.")] = options.TABLE,
    in_browser: Annotated[
        bool, typer.Option("--open", help="Open a page in the browser: one file that needs no network.")
    ] = False,
    transpose: options.Transpose = False,
    color: options.Color = options.AUTO,
    width: options.Width = None,
) -> None:
    """Show what the heads of a model look at.

    Prints an overview of all heads, and the weights of the most telling one.

    \b
    attnviz show "The animal didn't cross the street because it was too tired"
    attnviz show "The big fluffy dog barked" --layer 0-1 --head 3
    attnviz show "Mary lost her keys" --token her
    attnviz show --file lines.txt --format json | jq '.attention[0].key_tokens'
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    if in_browser:
        write = _to_browser(wanted.token, transpose=transpose)
    elif form == options.TABLE:
        report = tables.report(wanted, transpose=transpose)
        protocol = choose_protocol(tables.protocol) if tables.picture else None
        write = _to_terminal(report, color, width, protocol, headed=not given.single)
    else:
        write = _to_pipe(form, wanted.token)
    task = KeepWeights(make_job(given, model, wanted), terms=in_browser)
    found = stream_outcomes(task, given.sources(wanted.memory))
    if code := for_each(found, write):
        raise typer.Exit(code)


def _to_pipe(form: str, token: str | None) -> _Writer:
    """Return a writer of data, which keeps only the rows of a word if one is named."""
    chosen = STREAMS[form]
    headers: list[bytes] = []  # one stands before the first result, so not where nothing came out

    def write(result: Result) -> None:
        kept = replace(result, attention=select_rows(result.attention, token))
        header = chosen.header(kept)
        if header not in headers:
            if headers:
                raise RecordError(
                    f"Its numbers are of another measure than those before: give --format {options.JSON}."
                )
            headers.append(header)
            write_standard_output(header)
        for piece in chosen.pieces(kept):
            write_standard_output(piece)

    return write


def _to_browser(token: str | None, *, transpose: bool) -> _Writer:
    """Return an opener of the page of one text, which refuses a second one."""
    from attnviz.cli.browser import open_page
    from attnviz.views.page.pages import PageStart, make_page

    opened, note = list[int](), Notes()

    def write(result: Result) -> None:
        if opened:
            raise UsageError("--open shows one text: for a page of each, use attnviz export --format html -o FOLDER.")
        opened.append(result.index)
        page = make_page(result.attention, result.text, PageStart(token=token, transpose=transpose), terms=result.terms)
        for each in page.notes:
            note(f"Note: {each}")
        open_page(page.data)

    return write


def _to_terminal(
    report: Report, colour: str, width: int | None, protocol: PictureProtocol | None, *, headed: bool
) -> _Writer:
    """Return a printer of tables, or pictures, under the text if it is `headed`, and under what the model wrote."""
    screen, say = open_terminal(colour, width), Notes()
    least = brush_of(screen, screen.options).least

    def write(result: Result) -> None:
        sections = list(report.sections(result.attention))  # all of them before any is shown
        tables = [section for section in sections if not is_drawn(section, protocol)]
        if note := note_cut(tables):
            say(note)
        for section in sections:
            if isinstance(section, Glance) and (faint := note_faint(section.attention.weights.max(-1), least)):
                say(f"Note: {faint}: attnviz export --log shows small weights.")
        for heading in (*((result.text, result.pair) if headed else ()), _quote_written(result)):
            if heading:  # of what is saved, the text may not be known
                screen.print(Text(shortened(visible(heading), _LONGEST_HEADING), style="italic"))
        for section in sections:
            screen.print(TerminalSection(section, protocol))

    return write


def _quote_written(result: Result) -> str | None:
    """Return the text that the model wrote, if it wrote one."""
    if not result.written:
        return None
    return f"… {result.target or '(no text)'}{'' if result.ended else ' … (cut here)'}"
