"""`attnviz export --layout heads`: a picture of numbers for each head, one for all texts."""

from pathlib import Path

from attnviz.cli.heads import NumberChoice, sum_up
from attnviz.cli.output import say, write_pieces, write_standard_output
from attnviz.cli.progress import TextCount
from attnviz.cli.request import Input, ModelChoice, Wanted, make_head_job
from attnviz.errors import UsageError
from attnviz.pipeline.artifacts import draw_numbers
from attnviz.pipeline.files import write_file
from attnviz.pipeline.generating import add_tables
from attnviz.pipeline.outcomes import HeadNumbers
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
            task = HeadNumbers(job, numbers.statistics)
            of_texts = sum_up(task, given.sources(wanted.memory), jobs, counter, "drawn")
        tables, code = add_tables(of_texts, tables), counter.code
    made = list(draw_numbers(tables, style, formats, lambda note: say(f"Note: {note}")))
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
