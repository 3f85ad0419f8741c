"""Links: who looks at the chosen key, and what the chosen query looks at, as bars beside two columns of tokens."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from rich.style import Style
from rich.text import Text

from attnviz.records import Weights
from attnviz.text import Token
from attnviz.views.names import NOTHING, decimals
from attnviz.views.screen.look import Look, bar, number_name, scale
from attnviz.views.screen.pane import Pane, name_hidden, scroll
from attnviz.views.screen.scene import Scene, State
from attnviz.views.terminal.cells import WEIGHT_WIDTH, ellipsised, shortened, widest

_GAP = 3  # between the columns
_LONGEST = 18  # columns of a token
_LEAST_BAR, _WIDEST_BAR = 4, 24  # columns of a bar beside its number
_NARROWEST = 3  # columns of a head without a number


class LinkSide(Struct, frozen=True, eq=False):
    """One column of tokens, under a title, with weights [heads, tokens]; the `chosen` one is always seen."""

    title: str
    tokens: Sequence[Token]
    weights: Weights
    chosen: int

    @property
    def header(self) -> int:
        """Return how many lines stand above the tokens: of several heads, one more with their numbers."""
        return 1 + (len(self.weights) > 1)

    def rows(self, height: int) -> range:
        """Return the tokens that are drawn in so many lines."""
        room = max(height - self.header, 1)
        first = scroll(self.chosen - room // 2, room, len(self.tokens), self.chosen)
        return range(first, min(first + room, len(self.tokens)))

    def draw(self, look: Look, width: int, height: int, *, log: bool) -> Iterator[Text]:
        """Yield the titles, then a line for each token."""
        label = min(max(widest(token.label) for token in self.tokens), _LONGEST, width // 2)
        heads = range(min(len(self.weights), max((width - label) // _NARROWEST, 1)))
        each = min((width - label) // len(heads), 1 + _WIDEST_BAR + WEIGHT_WIDTH)
        alone = len(self.weights) == 1
        hidden = name_hidden(self.rows(height), len(self.tokens))
        yield Text(ellipsised(f"{hidden}  {self.title}" if hidden else self.title, width), Style(dim=True))
        if not alone:
            line = Text(" " * label)
            for head in heads:
                line.append(f" {number_name(head)}".ljust(each), look.line(head))
            yield line
        strengths = scale(self.weights, log=log)
        for row in self.rows(height):
            token = self.tokens[row]
            style = look.marked if row == self.chosen else Style(dim=token.special)
            line = Text.assemble((shortened(token.label, label), style))
            line.pad_right(label - line.cell_len)
            for head in heads:
                drawn = _draw_bar(float(self.weights[head, row]), float(strengths[head, row]), each - 1)
                line.append(" ").append(drawn.ljust(each - 1), look.line(None if alone else head))
            yield line


def _draw_bar(weight: float, strength: float, width: int) -> str:
    """Return a bar, and behind it the number if there is room for it."""
    numbered = width >= _LEAST_BAR + WEIGHT_WIDTH
    drawn = bar(strength, width - WEIGHT_WIDTH * numbered)
    return f"{drawn} {decimals(weight)}" if numbered and weight >= NOTHING else drawn


class Links(Pane):
    """The pane of queries on the left and of keys on the right, with a bar for each head that is shown."""

    def draw(self, scene: Scene, width: int, height: int) -> Sequence[Text]:
        """Draw both sides beside each other."""
        room, look = (width - _GAP) // 2, self.look
        left, right = (list(side.draw(look, room, height, log=scene.state.log)) for side in _sides(scene))
        lines = []
        for row in range(max(len(left), len(right))):
            line = left[row].copy() if row < len(left) else Text()
            line.pad_right(room + _GAP - line.cell_len)
            lines.append(line.append_text(right[row]) if row < len(right) else line)
        return lines

    def find_state(self, scene: Scene, x: int, y: int) -> State | None:
        """Return the state in which the token there is chosen."""
        width, height = self.content_size
        at = x >= (width - _GAP) // 2
        side = _sides(scene)[at]
        rows, row = side.rows(height), y - side.header
        if not 0 <= row < len(rows):
            return None
        return scene.choose(key=rows[row]) if at else scene.choose(query=rows[row])


def _sides(scene: Scene) -> tuple[LinkSide, LinkSide]:
    """Return the queries that look at the key, and the keys that the query looks at."""
    link, attention, weights = scene.link, scene.attention, scene.heads
    return (
        LinkSide(f"looks at {link.key.label}", attention.query_tokens, weights[:, :, scene.key], scene.query),
        LinkSide(f"{link.query.label} looks at", attention.key_tokens, weights[:, scene.query], scene.key),
    )
