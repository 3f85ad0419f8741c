"""`attnviz explain`: one head for one query, step by step, with real numbers."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from attnviz.cli import options
from attnviz.cli.explain_request import Comparisons, OneHead, Steps, ToyChoice
from attnviz.cli.explain_words import look_up_words, print_words
from attnviz.cli.groups import group_options
from attnviz.cli.outcomes import for_each
from attnviz.cli.output import Notes, write_standard_output
from attnviz.cli.request import Input, ModelChoice
from attnviz.cli.terminal import open_terminal
from attnviz.errors import TextError, write_options
from attnviz.lessons import Lesson, encode_lesson
from attnviz.lessons.explaining import HeadQuery, explain_head
from attnviz.lessons.toy import explain_toy
from attnviz.measures.links import telling
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.pipeline.job import Job
from attnviz.pipeline.outcomes import of_one
from attnviz.pipeline.streams import Source
from attnviz.records import Axes, Word, require_record
from attnviz.text import choose_spelled, find_occurrences, not_found
from attnviz.views.terminal.lesson import LessonSteps
from attnviz.vocabulary import Kind

_FORMATS = "text", "json"
_TextOrData = Annotated[str, options.choice(_FORMATS, "--format", line="Print text to read, or data.")]

_GET = f"add {options.flag('format', 'json')} | jq -c '.arrays.{{}}.values[]'"

_Words = Annotated[bool, typer.Option("--words", help="List the words of the glossary.")]
_Writer = Callable[[Lesson, dict[str, Any]], None]


@group_options
def explain(
    ctx: typer.Context,
    given: Input,
    model: ModelChoice,
    one: OneHead,
    steps: Steps,
    comparisons: Comparisons,
    toy: ToyChoice,
    words: _Words = False,
    form: _TextOrData = "text",
    color: options.Color = options.AUTO,
    width: options.Width = None,
) -> None:
    """Explain one head for one token, step by step, or a word of the glossary.

    Each step has a formula, a reason, and the model's own numbers: from the token to its query, the keys, scores,
    softmax, the values, and the residual stream.

    A word of the glossary that stands alone, such as query, is looked up; --words lists them. With any option that
    says what to explain, such as --token 1, it is a text like any other.

    \b
    attnviz explain softmax
    attnviz explain --toy
    attnviz explain "Mary lost her keys" --token her
    attnviz explain "Mary lost her keys" --layer 3 --head 0 --scores dot,cosine
    attnviz explain "The dog saw it" --model builtin/decoder --token dog --no-mask
    attnviz explain "Mary lost her keys" --format json | jq .arrays.weights
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    if found := look_up_words(ctx, given.texts or (), words):
        print_words(found, as_data=form == "json", color=color, width=width)
        return
    write = _to_pipe if form == "json" else _to_terminal(color, width)
    if toy.wanted:
        write(steps.of(_explain_toy(toy, one, comparisons)), {"model": "toy"})
        return
    job = Job(model=model.model, loading=model.loading)
    if code := _explain_texts(given, job, one, comparisons, steps, write):
        raise typer.Exit(code)


def _explain_texts(given: Input, job: Job, one: OneHead, comparisons: Comparisons, steps: Steps, write: _Writer) -> int:
    """Write the lesson on a head for each text, and return the exit code."""
    say = Notes()

    def explain_text(source: Source) -> None:
        passage, model = given.passage(source.text()), job.loaded
        with of_one(source):
            lesson, head = _explain_text(model, passage, one, comparisons, say)
        write(steps.of(lesson), head)

    return for_each(((source, source) for source in given.sources()), explain_text)


def _to_pipe(lesson: Lesson, head: dict[str, Any]) -> None:
    write_standard_output(encode_lesson(lesson, head))


def _to_terminal(color: str, width: int | None) -> _Writer:
    screen = open_terminal(color, width)

    def write(lesson: Lesson, head: dict[str, Any]) -> None:
        screen.print(LessonSteps(lesson, head, _GET))

    return write


_LISTED = 8  # places that a note names
_ONE_HEAD = "There is one head. Several could look for several things at once: --heads 2."


def _explain_toy(toy: ToyChoice, one: OneHead, comparisons: Comparisons) -> Lesson:
    made = toy.make(one.token, one.head or 0)
    lesson = explain_toy(made, comparisons.make_what_if([False] * len(made.names)))
    return replace(lesson, notes=(*lesson.notes, *([_ONE_HEAD] if made.heads == 1 and made.width % 4 == 0 else [])))


def _explain_text(
    model: Model, passage: Passage, one: OneHead, comparisons: Comparisons, say: Callable[[str], None]
) -> tuple[Lesson, dict[str, Any]]:
    """Return the lesson on one head for a text, and the names of that head; `say` prints notes."""
    for note in model.card.notes:
        say("Note: " + note)
    reading = model.read(passage)
    for warning in reading.warnings:
        say("Note: " + warning + ".")
    place, note_on_choice = _choose_head(model, reading, one)
    _, keys = reading.axes(place.kind)
    lesson = explain_head(model, reading, place, comparisons.make_what_if([token.special for token in keys]))
    about = {
        "text": reading.passage.text,
        "model": lesson.subject,
        "kind": place.kind.value,
        "layer": place.layer,
        "head": place.head,
    }
    warnings = (write_options(warning, options.flag) for warning in reading.warnings)
    return replace(lesson, notes=(*warnings, *lesson.notes, *note_on_choice)), about


def _choose_head(model: Model, reading: Reading, one: OneHead) -> tuple[HeadQuery, Sequence[str]]:
    """Return the head and the query asked for, and notes on them; what was left out is taken from the telling link."""
    select = one.selection
    if select.kinds is None and Kind.CROSS in model.card.stacks:
        select = replace(select, kinds=(Kind.CROSS,))
    axes, *others = model.axes(reading, select)
    query, note = _find_query(axes, one.token) if one.token else (None, ())
    layer, head = axes.layers[0], axes.heads[0]
    if query is None or others or len(axes.layers) * len(axes.heads) > 1:
        word = None if query is None else Word(str(one.token), (query,), ())
        links = [telling(require_record(record), word) for record in model.weights(reading, select)]
        if link := max(filter(None, links), key=lambda link: link.weight, default=None):
            layer, head = link.layer, link.head
            found = (i for i, token in enumerate(axes.query_tokens) if token.position == link.query.position)
            query = next(found) if query is None else query
    if query is None:
        query = max((i for i, token in enumerate(axes.query_tokens) if not token.special), default=0)
    return HeadQuery(kind=axes.kind, layer=layer, head=head, query=query), note


def _find_query(axes: Axes, wanted: str) -> tuple[int, Sequence[str]]:
    """Return the index of a query by its word or position, and a note if several tokens match."""
    found = find_occurrences(axes.query_tokens, wanted)
    if not found:
        error = not_found(axes.query_tokens, wanted)
        read = (
            " These are the tokens of the target, which the decoder reads: for a token of the source, give --kind "
            "encoder."
            if axes.kind.crosses
            else ""
        )
        raise TextError(f"{error}{read}")
    chosen = choose_spelled(found, wanted)
    query, *pieces = chosen.indices
    others = [each.indices[0] for each in found if each is not chosen]
    if not others and not pieces:
        return query, ()
    told = [f"stands at {len(found)} places"] if others else []
    told += [f"is {len(chosen.indices)} tokens, of which the first is explained"] if pieces else []
    named = [f"{token.position} {token.label}" for token in (axes.query_tokens[i] for i in (*others, *pieces))]
    listed = ", ".join(named[:_LISTED] + ["…"] * (len(named) > _LISTED))
    return query, (f"{wanted} {' and '.join(told)}. For another, give its position: {listed}.",)
