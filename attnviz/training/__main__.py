"""`python -m attnviz.training encoder` trains a built-in model and writes it where the package reads it."""

from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from attnviz.models.builtin import FOLDER
from attnviz.training import decoder, encoder, translation
from attnviz.training.course import Course, complete_card, train_into

COURSES: dict[str, Course] = {
    "encoder": encoder.COURSE,
    "decoder": decoder.COURSE,
    "translator": translation.TRANSLATOR,
    "bahdanau": translation.BAHDANAU,
}


def main(
    name: Annotated[str, typer.Argument(help=f"Which model: {', '.join(COURSES)}.")],
    evaluate_only: Annotated[bool, typer.Option("--evaluate", help="Only measure the shipped weights again.")] = False,
    steps: Annotated[int | None, typer.Option(help="Steps of training.")] = None,
    seed: Annotated[int | None, typer.Option(help="What chance starts from.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the model is written, or read.")] = None,
) -> None:
    """Train a model that comes with attnviz, or measure it again."""
    if name not in COURSES:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(COURSES)}.")
    course, folder = COURSES[name], folder or FOLDER / name
    if not evaluate_only:
        chosen = {key: value for key, value in {"steps": steps, "seed": seed}.items() if value is not None}
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True)) as progress:
            train_into(folder, course, replace(course.recipe, **chosen), progress)
    found = course.findings(folder)
    Console().print(Markdown(course.findings_in_words(found)))
    if not evaluate_only:
        complete_card(folder, course, found)


if __name__ == "__main__":
    typer.run(main)
