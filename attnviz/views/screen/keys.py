"""The keyboard: one table of keys, which the bindings, the line at the bottom and the help come from.

The keys that the page has as well mean the same there.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from attnviz.views.screen.scene import Place, Scene, State, View, open_record


class Command(Struct, frozen=True):
    """A binding of keys to an action, by its name, and its words; `short` ones stand at the bottom of the screen.

    `keys` are named as textual does.
    """

    keys: tuple[str, ...]
    action: str
    words: str
    short: str = ""


COMMANDS = (
    Command(("question_mark",), "help", "this help", "help"),
    Command(("left", "h"), "head_before", "the head before"),
    Command(("right", "l"), "head_after", "the next head", "head"),
    Command(("up", "k"), "layer_above", "the layer above"),
    Command(("down", "j"), "layer_below", "the layer below", "layer"),
    Command(("shift+up", "K"), "query_before", "the token before"),
    Command(("shift+down", "J"), "query_after", "the next token", "token"),
    Command(("shift+left", "H"), "key_before", "pair it with the one before"),
    Command(("shift+right", "L"), "key_after", "pair it with the next one"),
    Command(("slash",), "search", "find a word, and choose its first token", "find"),
    Command(("enter",), "lock", "lock the token"),
    Command(("escape",), "release", "let it go"),
    Command(("m",), "most_telling", "the most telling head"),
    Command(("c",), "keep", "keep this head, and take the next"),
    Command(("a",), "average", "average of the heads that are shown"),
    Command(("v",), "next_view", "the next view", "view"),
    Command(("tab",), "next_record", "the next kind of attention"),
    Command(("w",), "words", "words, or pieces of words"),
    Command(("s",), "special", "special tokens"),
    Command(("t",), "transpose", "transpose"),
    Command(("g",), "logarithmic", "logarithmic"),
    Command(("e",), "edit", "type another sentence", "new text"),
    Command(("n",), "next_text", "the next text"),
    Command(("p",), "text_before", "the text before"),
    Command(("x",), "save", "save the head that is shown", "save"),
    Command(("y",), "copy", "copy the link as text"),
    Command(("d",), "dark", "dark, or light"),
    Command(("q", "ctrl+q"), "quit", "quit", "quit"),
)

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


def _step_query(by: int) -> Callable[[Scene], State]:
    return lambda scene: scene.choose(query=_clamp(scene.query + by, len(scene.attention.query_tokens)))


def _step_key(by: int) -> Callable[[Scene], State]:
    return lambda scene: scene.choose(key=_clamp(scene.key + by, len(scene.attention.key_tokens)))


CHANGES: Mapping[str, Callable[[Scene], State]] = {
    "head_before": _move_head(0, -1),
    "head_after": _move_head(0, 1),
    "layer_above": _move_head(-1, 0),
    "layer_below": _move_head(1, 0),
    "query_before": _step_query(-1),
    "query_after": _step_query(1),
    "key_before": _step_key(-1),
    "key_after": _step_key(1),
    "lock": lambda scene: replace(scene.state, locked=True),
    "release": _release,
    "most_telling": lambda scene: open_record(scene.shown, scene.state),
    "keep": keep_head,
    "average": lambda scene: replace(scene.state, mean=len(scene.picked) > 1 and not scene.state.mean),
    "next_view": _next_view,
    "words": lambda scene: replace(scene.state, words=not scene.state.words),
    "special": lambda scene: replace(scene.state, special=not scene.state.special),
    "transpose": lambda scene: replace(scene.state, turned=not scene.state.turned),
    "logarithmic": lambda scene: replace(scene.state, log=not scene.state.log),
}
"""The actions that change nothing but the state."""
