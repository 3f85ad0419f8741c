"""The screen itself: panes around one scene, keys that change it, and work that is done beside it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from msgspec.structs import replace
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.filter import LineFilter
from textual.geometry import Size
from textual.widgets import Static

from attnviz.errors import AttnvizError, RecordError, TextError, WriteOption, write_options
from attnviz.text import visible
from attnviz.views.screen.detail import Detail, name_link
from attnviz.views.screen.heads import AllHeads
from attnviz.views.screen.help import HelpScreen
from attnviz.views.screen.keys import CHANGES, COMMANDS, name_key, toggle_head
from attnviz.views.screen.links import Links
from attnviz.views.screen.look import Look
from attnviz.views.screen.matrix import Matrix
from attnviz.views.screen.overview import HeadToggled, Overview, needed_width
from attnviz.views.screen.pane import Pane, TokenPointed
from attnviz.views.screen.prompt import Prompt
from attnviz.views.screen.prose import Prose, set_lines
from attnviz.views.screen.scene import (
    OpenText,
    Scene,
    Shown,
    State,
    View,
    find_token,
    open_record,
    open_text,
    prepare,
)
from attnviz.views.screen.surface import STYLE_SHEET, THEMES, Spelled
from attnviz.views.screen.work import Done, Work
from attnviz.views.terminal.sections import summary

_VIEWS = {View.MATRIX: Matrix, View.LINKS: Links, View.HEADS: AllHeads}
_LEAST = 40, 12  # columns and lines below which nothing can be read


class Browser(App[BaseException]):
    """The full-screen view.

    `open_entry` reads one of the texts that were given by its number, None if there is none left; `read` reads what was
    typed; `save` writes a scene to a file of this name, and says what it did. All three may take long, and raise errors
    of our family; they are called one at a time, beside the screen. `formats` lists what the names of files may
    end in. `first` is the state to begin with, and `token` a word to choose in it.
    """

    CSS = STYLE_SHEET
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar = [
        *(
            Binding(
                ",".join(command.keys),
                f"change('{command.action}')" if command.change else command.action,
                show=False,
                priority="tab" in command.keys,  # which would go from widget to widget
            )
            for command in COMMANDS
        ),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(
        self,
        open_entry: Callable[[int], OpenText | None],
        read: Callable[[str], OpenText],
        save: Callable[[Scene, str], str],
        *,
        formats: Callable[[], Sequence[str]],
        option: WriteOption,
        first: State = State(),  # noqa: B008 - frozen
        token: str | None = None,
        colour: bool = True,
        dark: bool = True,
        encoding: str = "utf-8",
    ) -> None:
        super().__init__(ansi_color=None if colour else True)
        self._open, self._read, self._save = open_entry, read, save
        self._formats, self._option, self._token = formats, option, token
        self._spelled = [] if encoding.lower().startswith("utf") else [Spelled(encoding)]
        for theme in THEMES:
            self.register_theme(theme)
        self.look = Look(colour, dark)
        self.theme = self.look.theme
        self.state = first
        self.entry: OpenText | None = None
        self.scene: Scene | None = None
        self._prepared: dict[tuple[int, bool, bool], Shown] = {}
        self._work = Work(self.post_message)
        self._replacing = ""

    def get_line_filters(self) -> list[LineFilter]:
        """Return the filters of textual, and that of the encoding."""
        return [*super().get_line_filters(), *self._spelled]

    def compose(self) -> ComposeResult:
        """Make the panes, from the top down."""
        yield Static(id="title")
        yield Prose()
        with Horizontal(id="heads"):
            yield Overview()
            yield from (view() for view in _VIEWS.values())
        yield Detail()
        yield Static(id="message", markup=False)
        yield Prompt()
        yield Static(id="keys")
        yield Static("Make the window larger: this takes 40 columns and 12 lines.", id="small")

    def on_mount(self) -> None:
        """Begin with the first text."""
        self.set_interval(0.1, self._tick)
        self._work.start("loading the model and reading", partial(self._open, 0), self._take)

    def on_resize(self, event: events.Resize) -> None:
        """Lay the panes out for the new size."""
        self.screen.set_class(event.size.width < _LEAST[0] or event.size.height < _LEAST[1], "small")
        self._lay_out(event.size)  # the app itself still has the size before

    # Work beside the screen

    @property
    def busy(self) -> bool:
        """Return whether something is being done beside the screen."""
        return self._work.busy

    def on_done(self, message: Done) -> None:
        """Use what has been done, or say what went wrong."""
        if not self._work.end(message):
            return
        self._say("")
        found = message.found
        if not isinstance(found, BaseException):
            message.use(found)
        elif isinstance(found, TextError | RecordError) or (self.entry and isinstance(found, AttnvizError)):
            self._say(found.advice)
        else:
            self.exit(found)

    def _tick(self) -> None:
        """Show that work goes on, once it takes a while."""
        if progress := self._work.progress():
            self._say(progress)

    def _say(self, words: str) -> None:
        message = self.query_one("#message", Static)
        said = visible(write_options(words, self._option))
        message.display = bool(said)
        message.update(Text(said, style=self.look.marked))

    # What is shown

    def _take(self, entry: OpenText | None) -> None:
        """Show a text that has been read."""
        if entry is None:
            if self.entry is None:
                self.action_edit()
            else:
                self._say("There is no text after this one.")
            return
        is_first, self.entry, self._prepared = self.entry is None, entry, {}
        state = replace(self.state, record=min(self.state.record, len(entry.records) - 1))
        if is_first:
            told = [number for number, one in enumerate(entry.records) if one.kind.crosses]
            state = replace(state, record=told[0] if told else 0)
        self._show(state, open_record if is_first else open_text)

    def _show(self, state: State, aim: Callable[[Shown, State], State] | None = None) -> None:
        """Show a state, for which its record may have to be made ready first."""
        assert self.entry is not None
        made = (state.record, state.words, state.special)
        record = self.entry.records[state.record]

        def use(shown: Shown) -> None:
            self._prepared[made] = shown
            self.state = aim(shown, state) if aim else state
            self.scene = Scene(shown, self.state)
            if aim and self.entry:
                self._say("  ".join(self.entry.notes))
            if self._token and (token := self._token):
                self._token = None
                self._find(token)
            self._draw()

        if made in self._prepared:
            use(self._prepared[made])
        else:
            self._work.start(
                "looking for what tells most", partial(prepare, record, words=state.words, special=state.special), use
            )

    def _draw(self) -> None:
        self._lay_out(self.size)
        for view, kind in _VIEWS.items():
            self.query_one(kind).display = view is self.state.view
        for pane in self.query(Pane):
            pane.look = self.look
            pane.scene = self.scene
        if self.scene:
            self.query_one("#title", Static).update(summary(self.scene.attention))

    def _lay_out(self, size: Size) -> None:
        """Give the panes their sizes, and fill the line of keys."""
        width, height = size
        line = Text(no_wrap=True)
        for command in COMMANDS:
            if command.short and line.cell_len + len(command.short) + 5 <= width - 2:
                line.append(f"{name_key(command.keys[0])} ", "bold").append(f"{command.short}  ")
        self.query_one("#keys", Static).update(line)
        if self.scene is None:
            return
        attention = self.scene.attention
        sides = {attention.query_tokens, attention.key_tokens}
        lines = sum(len(set_lines(tokens, width - 2)) for tokens in sides)
        prose = max(min(lines, height // 5), len(sides))
        detail = self.query_one(Detail)
        detail.styles.height = detail.needed_height(self.scene)
        self.query_one(Prose).styles.height = prose
        self.query_one(Overview).styles.width = needed_width(self.scene, width * 2 // 5, height - prose - 8)

    def on_token_pointed(self, message: TokenPointed) -> None:
        """Follow the pointer, unless a token is locked; what is pressed is chosen, and a token locked."""
        if self.scene is None or (self.state.locked and not message.pressed):
            return
        same_head = (message.state.layer, message.state.head) == (self.state.layer, self.state.head)
        self._show(replace(message.state, locked=self.state.locked or (message.pressed and same_head)))

    def on_head_toggled(self, message: HeadToggled) -> None:
        """Take a head among those that are shown, or out of them."""
        if self.scene is not None:
            self._show(toggle_head(self.scene, message.place))

    def on_mouse_scroll_down(self) -> None:
        """Choose the next token."""
        self.action_change("query_after")

    def on_mouse_scroll_up(self) -> None:
        """Choose the token before."""
        self.action_change("query_before")

    # Keys

    def action_change(self, name: str) -> None:
        """Show the state that an action leads to."""
        if self.scene is not None and not self.screen.is_modal:
            self._say("")
            self._show(CHANGES[name](self.scene))

    def action_next_record(self) -> None:
        """Show the next kind of attention, or the next record."""
        if self.entry and len(self.entry.records) > 1 and not self.query_one(Prompt).display:
            self._show(replace(self.state, record=(self.state.record + 1) % len(self.entry.records)), open_record)

    def action_next_text(self) -> None:
        """Show the next of the texts that were given."""
        number = self.entry.number if self.entry else None
        self._work.start("reading", partial(self._open, 0 if number is None else number + 1), self._take)

    def action_text_before(self) -> None:
        """Show the text before."""
        if self.entry and self.entry.number:
            self._work.start("reading", partial(self._open, self.entry.number - 1), self._take)

    def action_dark(self) -> None:
        """Change between dark and light."""
        self.look = replace(self.look, dark=not self.look.dark)
        self.theme = self.look.theme
        self._draw()

    def action_help(self) -> None:
        """Show the help."""
        self.push_screen(HelpScreen())

    def action_copy(self) -> None:
        """Copy the link as text."""
        if self.scene:
            self.copy_to_clipboard(name_link(self.scene))
            self._say(f"Copied: {name_link(self.scene)}")

    def action_edit(self) -> None:
        """Ask for another sentence."""
        text = self.entry.text if self.entry else None
        title = "Another sentence" if self.entry else "A sentence (Esc quits)"
        self.query_one(Prompt).ask("text", title, text or "")

    def action_search(self) -> None:
        """Ask for a word."""
        self.query_one(Prompt).ask("word", "Find a word")

    def action_save(self) -> None:
        """Ask where to save what is shown."""
        if self.scene:
            title = f"Save {self.scene.name} as, ending in .{', .'.join(self._formats())}"
            self.query_one(Prompt).ask("file", title, f"attention-{self.scene.stem}.png")

    def on_prompt_answered(self, message: Prompt.Answered) -> None:
        """Do what was asked for."""
        self._say("")
        answer = message.answer
        if message.question == "text":
            self._work.start("reading", partial(self._read, answer), self._take)
        elif message.question == "word":
            self._find(answer)
        elif _exists(answer) and answer != self._replacing:
            self._replacing = answer
            self.query_one(Prompt).ask("file", f"{visible(answer)} is there already: Enter replaces it", answer)
        elif self.scene:
            self._work.start("saving", partial(self._save, self.scene, answer), self._say)

    def on_prompt_given_up(self, message: Prompt.GivenUp) -> None:
        """Quit if no text was typed where there is none to go back to."""
        if self.entry is None and message.question == "text":
            self.exit()

    def _find(self, wanted: str) -> None:
        """Choose a word, or say that there is none."""
        if self.scene:
            try:
                self._show(find_token(self.scene, wanted))
            except TextError as error:
                self._say(error.advice)


def _exists(name: str) -> bool:
    """Return whether there is a file of this name, which somebody typed."""
    try:
        return Path(name).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # no name of a file; saving says so
        return False
