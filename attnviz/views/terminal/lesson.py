"""A walk through one head on a terminal, in steps to be read from top to bottom."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from attnviz.lessons import Lesson, Step
from attnviz.text import visible
from attnviz.views.terminal.cells import shortened
from attnviz.views.terminal.numbers import Lines, wrapped
from attnviz.views.terminal.quantities import Keys, Quantities
from attnviz.views.terminal.vectors import signs

_PROSE_WIDTH = 90
_INDENT = 4
_FORMULA = "italic #2a9a8c"  # as light as the colours of bars: to be read on dark and light
_TEXT = "text"


@dataclass(frozen=True, slots=True, eq=False)
class LessonSteps:
    """The steps of a lesson, each with its formula, its reason and what comes out.

    `about` is what its data begins with, too: the text, and the names and numbers that say which head it is. How a
    quantity is shown follows from its axes alone.
    """

    lesson: Lesson
    about: Mapping[str, Any] = field(default_factory=dict)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lays everything out for the width of the console."""
        quantities = Quantities(Keys.of(self.lesson), options.max_width - _INDENT, console, signs(console, options))
        page = _Page(self.lesson, quantities, min(options.max_width, _PROSE_WIDTH), console)
        for line in (*page.opening(self.about), *page.steps()):
            line.no_wrap, line.overflow = True, "ellipsis"  # for where not even one number fits
            yield line


@dataclass(frozen=True, slots=True, eq=False)
class _Page:
    """A lesson in lines: prose of a width, and quantities."""

    lesson: Lesson
    quantities: Quantities
    width: int
    console: Console

    def opening(self, about: Mapping[str, Any]) -> Lines:
        """Whose head this is, what it read, which token looks, and what is not shown."""
        named = {name: value for name, value in about.items() if name != _TEXT}
        words = (value if isinstance(value, str) else f"{name} {value}" for name, value in named.items())
        yield from self._prose(" · ".join(dict.fromkeys((self.lesson.subject, *words))), "bold")
        if _TEXT in about:
            yield Text(shortened(visible(about[_TEXT]), self.width), "italic")
        predicts = f", where the model is to say {self.lesson.predicts} next" if self.lesson.predicts else ""
        yield from self._prose(f"The query is token {self.lesson.position}, {self.lesson.query}{predicts}.")
        if (shown := len(self.quantities.keys.shown)) < (count := len(self.lesson.keys)):
            yield from self._prose(f"Of its {count:,} keys, {shown} are shown here.")
        yield from wrapped(self.quantities.signs.legend(), self.width, self.console)
        for note in self.lesson.notes:
            yield from self._prose(note)

    def steps(self) -> Lines:
        """Each under its number, after an empty line."""
        for number, step in enumerate(self.lesson.steps, 1):
            yield Text()
            yield from self._step(f"{number}.".rjust(_INDENT - 1).ljust(_INDENT), step)

    def _step(self, number: str, step: Step) -> Lines:
        margin = " " * len(number)
        yield from self._prose(step.title, "bold", number)
        yield from self._prose(step.formula, _FORMULA, margin)
        yield from self._prose(step.why, "", margin)
        for block in self.quantities.blocks([quantity for quantity in step.quantities if quantity.shown]):
            yield Text()
            for line in block:
                yield Text(margin).append_text(line) if line else line

    def _prose(self, words: str, style: str = "", margin: str = "") -> Iterator[Text]:
        """Words beside a margin, which is blank from the second line on."""
        for line in wrapped(Text(visible(words), style), self.width - len(margin), self.console):
            yield Text(margin, style).append_text(line)
            margin = " " * len(margin)
