"""The numbers of a cell: the weight from the query to the key, and the strongest of their row and their column."""

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from attnviz.records import Weights
from attnviz.text import Token
from attnviz.views.names import NOTHING, decimals
from attnviz.views.screen.look import number_name, scale
from attnviz.views.screen.pane import Pane
from attnviz.views.screen.scene import Scene, rank
from attnviz.views.terminal.cells import ellipsised, fitted
from attnviz.views.terminal.sections import link_in_words

_TOP = 8
_LONGEST = 16


def name_link(scene: Scene) -> str:
    """Write the head and its link: `layer 3 head 1: it → animal 0.64`."""
    return f"{scene.name}: {link_in_words(scene.link)}"


class Detail(Pane):
    """The pane of numbers."""

    def draw(self, scene: Scene, width: int, height: int) -> Sequence[Text]:
        """Draw the link, what the query looks at, and what looks at the key."""
        row, column = scene.weights[scene.query], scene.weights[:, scene.key]
        first = Text(name_link(scene), style=self.look.marked)
        facts = list(scene.drawn_as)
        facts += [f"{scene.link.weight:.6f}", f"rank {rank(row, scene.key)} of {len(row)} keys"]
        facts += ["the most telling head"] if scene.is_telling(scene.head) else []
        facts += ["locked"] if scene.state.locked else []
        for fact in facts:
            if first.cell_len + 3 + len(fact) <= width:
                first.append(f" · {fact}", Style(dim=True, bold=False))
        query, key = scene.link.query, scene.link.key
        return [
            *([self._legend(scene, width)] if len(scene.picked) > 1 else []),
            first,
            self._strongest(f"{query.label} looks at", row, scene.attention.key_tokens, scene, width),
            self._strongest(f"{key.label} is looked at by", column, scene.attention.query_tokens, scene, width),
        ]

    def needed_height(self, scene: Scene) -> int:
        """Return how many lines it takes: of several heads, one more for the legend."""
        return 3 + (len(scene.picked) > 1)

    def _legend(self, scene: Scene, width: int) -> Text:
        """Draw the heads that are shown with their numbers and colours, as many as there is room for."""
        line, faint = Text(), Style(dim=True)
        for number, place in enumerate(scene.picked):
            style = faint if scene.averaged else self.look.line(number)
            chip = Text.assemble(
                (f"■ {number_name(number)} ", style + Style(bold=True)), (scene.name_place(place), style)
            )
            left = len(scene.picked) - number
            if line.cell_len + chip.cell_len + 2 + len(f"  and {left - 1} more") * (left > 1) > width:
                return line.append(f"  and {left} more" if line else "", faint)
            line.append("  " if line else "").append_text(chip)
        return line

    def _strongest(self, name: str, weights: Weights, tokens: Sequence[Token], scene: Scene, width: int) -> Text:
        line = Text.assemble((ellipsised(name, width // 2), Style(dim=True)))
        strengths, head = scale(weights, log=scene.state.log), None if len(scene.heads) == 1 else scene.chosen
        for index in (-weights).argsort(kind="stable")[:_TOP]:
            words = f" {fitted(ellipsised(tokens[index].label, _LONGEST))} {decimals(float(weights[index]))} "
            if weights[index] < NOTHING or line.cell_len + 1 + len(words) > width:
                break
            line.append(" ").append(words, self.look.ground(float(strengths[index]), head))
        return line
