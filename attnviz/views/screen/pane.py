"""A pane: a part of the screen that draws a scene and says where in it a pointer is."""

from collections.abc import Sequence
from typing import cast

from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from attnviz.views.screen.look import Look
from attnviz.views.screen.scene import Scene, State


class TokenPointed(Message):
    """The pointer is over something that stands for another state, or has pressed it."""

    def __init__(self, state: State, *, pressed: bool) -> None:
        super().__init__()
        self.state = state
        self.pressed = pressed


class Pane(Widget):
    """A part of the screen; it draws as many lines as it has room for, and follows the pointer."""

    scene: reactive[Scene | None] = reactive(None, always_update=True)
    look: reactive[Look] = reactive(Look(colour=True, dark=True))

    def render(self) -> Text:
        """Draw the scene, if there is one."""
        width, height = self.content_size
        if self.scene is None or width < 1 or height < 1:
            return Text()
        lines = self.draw(self.scene, width, height)
        return Text("\n", no_wrap=True, end="").join(lines[:height])

    def draw(self, scene: Scene, width: int, height: int) -> Sequence[Text]:
        """Return the lines that fit this width and height."""
        raise NotImplementedError

    def find_state(self, scene: Scene, x: int, y: int) -> State | None:
        """Return the state that what stands at a column and a line of the pane stands for, if anything does."""
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Say what the pointer is over."""
        self._point(event, pressed=False)

    def on_click(self, event: events.Click) -> None:
        """Say what was pressed."""
        self._point(event, pressed=True)

    def _point(self, event: events.MouseEvent, *, pressed: bool) -> None:
        offset = event.get_content_offset(self)
        if self.scene is not None and offset is not None:
            state = self.find_state(self.scene, *cast(tuple[int, int], offset))
            if state is not None:
                self.post_message(TokenPointed(state, pressed=pressed))


def name_hidden(shown: range, count: int, marks: str = "↑↓") -> str:
    """Return how many lines, or columns, are scrolled away before and after those that are shown: `↑3 ↓12`."""
    hidden = shown.start, count - shown.stop
    return " ".join(f"{mark}{number}" for mark, number in zip(marks, hidden, strict=True) if number > 0)


def scroll(first: int, room: int, count: int, chosen: int) -> int:
    """Return the first of `count` lines to draw where there is room for fewer, so that the chosen one is seen."""
    first = min(max(first, chosen - room + 1), chosen)
    return max(min(first, count - room), 0)
