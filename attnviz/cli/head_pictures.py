"""`attnviz export --layout heads`: a picture of numbers for each head, one for all texts."""

from pathlib import Path

from attnviz.cli.heads import NumberChoice
from attnviz.cli.output import say, write_pieces, write_standard_output
from attnviz.cli.progress import TextCount
from attnviz.cli.request import Input, ModelChoice, Wanted, make_head_job
from attnviz.errors import InputError, UsageError
from attnviz.pipeline.artifacts import Artifact, file_name, slug, unlike
from attnviz.pipeline.counting import total
from attnviz.pipeline.files import write_file
from attnviz.pipeline.generating import add_tables
from attnviz.pipeline.outcomes import HeadNumbers
from attnviz.records import HeadTable
from attnviz.views.image.head_numbers import head_picture
from attnviz.views.image.pictures import render
from attnviz.views.image.style import Style


def export_numbers(
    given: Input, model: ModelChoice, wanted: Wanted, numbers: NumberChoice, style: Style, formats: tuple[str, ...],
    output: Path, *, alone: bool, jobs: int,
) -> int:  # fmt: skip
    """Draw the numbers of all texts, into a folder or `alone` into one file, and return the exit code.

    Raises:
        UsageError: there are several pictures for one file, or numbers that read no text were asked for with one.
        InputError: no text could be read.
    """
    job = make_head_job(given, model, wanted, wanted.memory)
    tables = numbers.generated.tables(job.loaded, job.select) if numbers.generated else []
    code = 0
    if numbers.takes_text(given):
        with TextCount(given) as counter:
            of_texts = list(
                total(HeadNumbers(job, numbers.statistics), given.sources(wanted.memory), jobs, counter).tables()
            )
        if not of_texts:
            raise InputError("Nothing was drawn: no text could be read.")
        tables, code = add_tables(of_texts, tables), counter.code
    made = _draw(tables, style, formats)
    if alone:
        if len(made) > 1:
            raise UsageError(
                f"{output} is one file, but there are several to save: {made[0].file_name}, {made[1].file_name} … "
                "Choose one format, and one kind of attention with --kind, or give -o a folder."
            )
        write_pieces(made[0].pieces, output)
    else:
        output.mkdir(parents=True, exist_ok=True)
        for artifact in made:
            write_file(output / artifact.file_name, artifact.pieces)
            write_standard_output(f"{output / artifact.file_name}\n".encode("utf-8", "surrogateescape"))
    return code


def _draw(tables: list[HeadTable], style: Style, formats: tuple[str, ...]) -> list[Artifact]:
    """Return the pictures of tables in each format, named by their kind, and by their model if there are several."""
    several, taken, made = len({table.model for table in tables}) > 1, set[str](), list[Artifact]()
    for table in tables:
        picture = head_picture(table, style)
        for note in picture.notes:
            say(f"Note: {note}")
        name = unlike(taken, file_name(picture.name, *([slug(table.model)] if several else [])))
        taken.add(name)
        made += [Artifact(name, form, [render(picture.figure, form)]) for form in formats]
    return made
