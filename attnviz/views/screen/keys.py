"""The keyboard: one table of keys, which the bindings, the line at the bottom and the help come from.

The keys that the page has as well mean the same there.
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from attnviz.views.screen.scene import Place, Scene, State, View, open_record

_NAMES = {
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "slash": "/",
    "question_mark": "?",
    "enter": "Enter",
    "escape": "Esc",
    "tab": "Tab",
}


def name_key(key: str) -> str:
    """Return a key as the help writes it: `⇧↑`, `Ctrl+q`."""
    base = key.removeprefix("shift+")
    shift = "⇧" if base != key else ""
    return shift + _NAMES.get(base, base.replace("ctrl+", "Ctrl+"))


def _clamp(index: int, count: int) -> int:
    return min(max(index, 0), count - 1)


def _move_head(layers: int, heads: int) -> Callable[[Scene], State]:
    """Return what goes so many layers down and heads on, and stays within the record."""

    def move(scene: Scene) -> State:
        state, (layer_count, head_count, _, _) = scene.state, scene.attention.shape
        return replace(
            state, layer=_clamp(state.layer + layers, layer_count), head=_clamp(state.head + heads, head_count)
        )

    return move


def keep_head(scene: Scene) -> State:
    """Return the state in which the chosen head is shown besides the next one, which is chosen."""
    state, (layers, heads, _, _) = scene.state, scene.attention.shape
    on = state.layer * heads + state.head + 1
    layer, head = divmod(on % (layers * heads), heads)
    return replace(state, layer=layer, head=head, others=scene.picked)


def toggle_head(scene: Scene, place: Place) -> State:
    """Return the state in which a head is taken among those that are shown, or out of them."""
    layer, head = place
    if place not in scene.picked:
        return replace(scene.state, layer=layer, head=head, others=scene.picked)
    left = [each for each in scene.picked if each != place] or [place]
    chosen = scene.state.layer, scene.state.head
    layer, head = chosen if chosen in left else left[-1]
    return replace(scene.state, layer=layer, head=head, others=tuple(each for each in left if each != (layer, head)))


def _release(scene: Scene) -> State:
    """Return the state in which the token is let go, or else the heads that are shown besides."""
    state = scene.state
    if state.locked or state.key is not None:
        return replace(state, locked=False, key=None)
    return replace(state, others=(), mean=False)


def _next_view(scene: Scene) -> State:
    views = list(View)
    return replace(scene.state, view=views[(views.index(scene.state.view) + 1) % len(views)])


def _average(scene: Scene) -> State:
    """Return the state in which the heads that are shown are averaged, or one by one; a single head stays as it is."""
    return replace(scene.state, mean=len(scene.picked) > 1 and not scene.state.mean)


def _toggle(field: str) -> Callable[[Scene], State]:
    """Return what changes a field of the state between True and False."""
    return lambda scene: replace(scene.state, **{field: not getattr(scene.state, field)})


def _step_query(by: int) -> Callable[[Scene], State]:
    return lambda scene: scene.choose(query=_clamp(scene.query + by, len(scene.attention.query_tokens)))


def _step_key(by: int) -> Callable[[Scene], State]:
    return lambda scene: scene.choose(key=_clamp(scene.key + by, len(scene.attention.key_tokens)))


class Command(Struct, frozen=True):
    """A binding of keys to an action, by its name, and its words; `short` ones stand at the bottom of the screen.

    `keys` are named as textual does. The action does nothing but `change` the state, or the screen has a method for it.
    """

    keys: tuple[str, ...]
    action: str
    words: str
    short: str = ""
    change: Callable[[Scene], State] | None = None


COMMANDS = (
    Command(("question_mark",), "help", "this help", "help"),
    Command(("left", "h"), "head_before", "the head before", change=_move_head(0, -1)),
    Command(("right", "l"), "head_after", "the next head", "head", _move_head(0, 1)),
    Command(("up", "k"), "layer_above", "the layer above", change=_move_head(-1, 0)),
    Command(("down", "j"), "layer_below", "the layer below", "layer", _move_head(1, 0)),
    Command(("shift+up", "K"), "query_before", "the token before", change=_step_query(-1)),
    Command(("shift+down", "J"), "query_after", "the next token", "token", _step_query(1)),
    Command(("shift+left", "H"), "key_before", "pair it with the one before", change=_step_key(-1)),
    Command(("shift+right", "L"), "key_after", "pair it with the next one", change=_step_key(1)),
    Command(("slash",), "search", "find a word, and choose its first token", "find"),
    Command(("enter",), "lock", "lock the token", change=lambda scene: replace(scene.state, locked=True)),
    Command(("escape",), "release", "let it go", change=_release),
    Command(("m",), "most_telling", "the most telling head", "", lambda scene: open_record(scene.shown, scene.state)),
    Command(("c",), "keep", "keep this head, and take the next", change=keep_head),
    Command(("a",), "average", "average of the heads that are shown", change=_average),
    Command(("v",), "next_view", "the next view", "view", _next_view),
    Command(("tab",), "next_record", "the next kind of attention"),
    Command(("w",), "words", "words, or pieces of words", change=_toggle("words")),
    Command(("s",), "special", "special tokens", change=_toggle("special")),
    Command(("t",), "transpose", "transpose", change=_toggle("turned")),
    Command(("g",), "logarithmic", "logarithmic", change=_toggle("log")),
    Command(("e",), "edit", "type another sentence", "new text"),
    Command(("n",), "next_text", "the next text"),
    Command(("p",), "text_before", "the text before"),
    Command(("x",), "save", "save the head that is shown", "save"),
    Command(("y",), "copy", "copy the link as text"),
    Command(("d",), "dark", "dark, or light"),
    Command(("q", "ctrl+q"), "quit", "quit", "quit"),
)

CHANGES = {command.action: command.change for command in COMMANDS if command.change}
"""The actions that change nothing but the state."""
