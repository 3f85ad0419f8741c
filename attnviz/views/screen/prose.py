"""The text itself, with the weights of the chosen token as shades."""

from collections.abc import Iterator, Sequence

from rich.style import Style
from rich.text import Text

from attnviz.text import Token
from attnviz.views.screen.look import scale
from attnviz.views.screen.pane import Pane, scroll
from attnviz.views.screen.scene import Scene, State
from attnviz.views.terminal.cells import fitted, widest

Placed = tuple[int, int]
"""The index of a token, and the column at which it stands."""


def set_lines(tokens: Sequence[Token], width: int) -> list[list[Placed]]:
    """Return the tokens in lines of at most this width, broken between tokens, with the gaps that the text has."""
    lines: list[list[Placed]] = [[]]
    end = 0
    for index, token in enumerate(tokens):
        start = end + (index > 0 and _parts(tokens[index - 1], token))
        if lines[-1] and start + widest(token.label) > width:
            lines.append([])
            start = 0
        lines[-1].append((index, start))
        end = start + widest(token.label)
    return lines


def _parts(one: Token, other: Token) -> bool:
    """Return whether something stands between two neighbours."""
    same = one.source is not None and one.source == other.source
    return not (same and one.span and other.span and one.span[1] == other.span[0])


class Prose(Pane):
    """The pane of the text: of two texts, that of the queries stands above that of the keys."""

    def draw(self, scene: Scene, width: int, height: int) -> Sequence[Text]:
        """Draw as many lines as there is room for, those with the chosen tokens among them."""
        return [self._draw_line(scene, line, side) for line, side in self._lines(scene, width, height)]

    def find_state(self, scene: Scene, x: int, y: int) -> State | None:
        """Return the state in which the token there is chosen."""
        lines = list(self._lines(scene, *self.content_size))
        if y >= len(lines):
            return None
        line, side = lines[y]
        tokens = getattr(scene.attention, f"{side}_tokens")
        found = [index for index, start in line if start <= x < start + widest(tokens[index].label)]
        return scene.choose(**{side: found[0]}) if found else None

    def _lines(self, scene: Scene, width: int, height: int) -> Iterator[tuple[list[Placed], str]]:
        """Yield the lines that are drawn, and whether they are of queries or of keys."""
        attention = scene.attention
        sides = {"query": attention.query_tokens}
        if attention.query_tokens != attention.key_tokens:
            sides["key"] = attention.key_tokens
        for side, tokens in sides.items():
            lines, room = set_lines(tokens, width), max(height // len(sides), 1)
            chosen = scene.query if side == "query" else scene.key
            at = next(number for number, line in enumerate(lines) if line[-1][0] >= chosen)
            first = scroll(at - room // 2, room, len(lines), at)
            yield from ((line, side) for line in lines[first : first + room])

    def _draw_line(self, scene: Scene, line: Sequence[Placed], side: str) -> Text:
        attention, drawn = scene.attention, Text()
        both = attention.query_tokens == attention.key_tokens
        tokens = attention.query_tokens if side == "query" else attention.key_tokens
        weights = scene.heads[:, scene.query]  # [heads, keys]
        heads, strengths = weights.argmax(0), scale(weights.max(0), log=scene.state.log)
        several = len(weights) > 1
        for index, start in line:
            drawn.append(" " * (start - drawn.cell_len))
            shade = both or side == "key"
            head = int(heads[index]) if shade and several else None
            style = self.look.ground(float(strengths[index]), head) if shade else Style(dim=tokens[index].special)
            if side == "query" and index == scene.query:
                style += Style(underline=True, bold=True)
                style += Style(color=self.look.accent.color) if self.look.colour else Style()
            drawn.append(fitted(tokens[index].label), style)
        return drawn
