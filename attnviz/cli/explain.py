"""`attnviz explain`: a walk through one head for one query, with real numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from attnviz.cli import options
from attnviz.cli.groups import grouped
from attnviz.cli.numerics import start_numpy
from attnviz.cli.output import write_standard_output
from attnviz.cli.request import Input, ModelChoice
from attnviz.cli.texts import for_each_text
from attnviz.cli.toy import ToyChoice
from attnviz.cli.what_if import Comparisons
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.attention import Selection
    from attnviz.models.base import Model, Reading
    from attnviz.models.explaining import Place
    from attnviz.reference.lesson import Lesson

_FORMATS = "text", "json"


@dataclass(frozen=True, kw_only=True)
class OneHead:
    """Which head is walked through, for which query."""

    HEADING: ClassVar = "Which head"

    token: options.TokenName = None
    kind: options.Kinds = None
    layer: options.Layers = None
    head: options.Heads = None

    @property
    def selection(self) -> "Selection":
        """What may be chosen from.

        Raises:
            UsageError: several of a kind were named.
        """
        from attnviz.attention import Kind, Selection

        kind, layer, head = (_only(name, getattr(self, name)) for name in ("kind", "layer", "head"))
        return Selection(kind and (Kind(kind[0]),), layer, head)


def _only(name: str, given: list[Any] | None) -> tuple[Any, ...] | None:
    chosen = tuple(dict.fromkeys(one for many in given or () for one in ([many] if isinstance(many, str) else many)))
    if len(chosen) > 1:
        raise UsageError(f"explain walks through one head: name one {name}, not {len(chosen)}.")
    return chosen or None


@grouped
def explain(
    given: Input,
    model: ModelChoice,
    one: OneHead,
    comparisons: Comparisons,
    toy: ToyChoice,
    form: Annotated[
        str,
        typer.Option(
            "--format", parser=options.one_of(_FORMATS), metavar=options.choices(_FORMATS), help="To read, or data."
        ),
    ] = "text",
    color: options.Color = options.AUTO,
    width: options.Width = None,
    debug: options.Debug = False,
) -> None:
    """Explain one head for one token, step by step, with the model's own numbers.

    From the token to its query, the keys, the scores, softmax, the values, and what is added to the residual stream.

    \b
    attnviz explain --toy
    attnviz explain "Mary lost her keys" --token her
    attnviz explain "Mary lost her keys" --layer 3 --head 0 --scores dot,cosine
    attnviz explain "The dog saw a cat" --model builtin/decoder --no-mask
    attnviz explain "Mary lost her keys" --format json | jq .arrays.weights
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    start_numpy()
    write = _to_pipe if form == "json" else _to_terminal(color, width)
    if toy.wanted:
        if given.texts or given.file:
            raise UsageError("--toy walks through vectors: leave the text out, or leave --toy out.")
        write(_of_toy(toy, one, comparisons), {"model": "toy"})
        return

    def explain_text(index: int, text: str) -> None:
        lesson, place = _of_model(model.loaded, model.loaded.read(given.passage(text)), one, comparisons)
        head = {
            "text": text,
            "model": lesson.subject,
            "kind": place.kind.value,
            "layer": place.layer,
            "head": place.head,
        }
        write(lesson, head)

    if not for_each_text(given.sources(), explain_text):
        raise typer.Exit(1)


_Writer = Callable[["Lesson", dict[str, Any]], None]


def _to_pipe(lesson: "Lesson", head: dict[str, Any]) -> None:
    from attnviz.views.lesson_data import lesson_json

    write_standard_output(lesson_json(lesson, head))


def _to_terminal(color: str, width: int | None) -> _Writer:
    from attnviz.cli.terminal import terminal
    from attnviz.views.terminal_lesson import LessonSteps

    screen = terminal(color, width)

    def write(lesson: "Lesson", head: dict[str, Any]) -> None:
        screen.print(LessonSteps(lesson, head))

    return write


def _of_toy(toy: ToyChoice, one: OneHead, comparisons: Comparisons) -> "Lesson":
    from attnviz.reference.lesson.toy import toy_lesson
    from attnviz.reference.scores import initial

    (head,) = one.selection.heads or (0,)
    made = toy.made(one.token, head)
    depth, count = made.width // made.heads, len(made.names)
    drawn = {
        name: initial(name, depth, depth, count, toy.seed)
        for name in comparisons.score_names()
        if name in ("additive", "location")
    }
    return toy_lesson(made, comparisons.what_if([False] * count, drawn=drawn))


def _of_model(model: "Model", reading: "Reading", one: OneHead, comparisons: Comparisons) -> tuple["Lesson", "Place"]:
    from attnviz.models.explaining import explained

    place = chosen(model, reading, one)
    _, keys = reading.axes(place.kind)
    return explained(model, reading, place, comparisons.what_if([token.special for token in keys])), place


def chosen(model: "Model", reading: "Reading", one: OneHead) -> "Place":
    """The head and the query that were asked for; what was left open is what tells most.

    Raises:
        UsageError: the model has no such kind, layer or head.
        TextError: no query is called so.
    """
    from attnviz.analysis.links import telling
    from attnviz.attention import Kind
    from attnviz.models.explaining import Place
    from attnviz.text import not_found

    select = one.selection
    if select.kinds is None and Kind.CROSS in model.card.stacks:
        select = replace(select, kinds=(Kind.CROSS,))
    (attention,) = model.weights(reading, select)
    words = [word for word in attention.words(one.token) if word.queries] if one.token else [None]
    if not words:
        raise not_found(attention.query_tokens, str(one.token))
    link, word = telling(attention, words[0]), words[0]
    asking = word.queries[0] if word else attention.query_tokens.index(link.query) if link else -1
    return Place(
        kind=attention.kind,
        layer=link.layer if link else attention.layers[0],
        head=link.head if link else attention.heads[0],
        query=asking % len(attention.query_tokens),
    )
