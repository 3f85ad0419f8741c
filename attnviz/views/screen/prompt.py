"""A line to type into: another sentence, a word to find, the name of a file."""

from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input


class Prompt(Input):
    """The line; it says what was asked for and what was typed, and is hidden when nothing is asked."""

    BINDINGS = [Binding("escape", "give_up", show=False)]  # noqa: RUF012 - textual declares it so

    class Answered(Message):
        """Something was typed in answer to a question."""

        def __init__(self, question: str, answer: str) -> None:
            super().__init__()
            self.question = question
            self.answer = answer

    class GivenUp(Message):
        """A question was left without an answer."""

        def __init__(self, question: str) -> None:
            super().__init__()
            self.question = question

    question = ""

    def ask(self, question: str, title: str, answer: str = "") -> None:
        """Show the line under a title, with an answer to begin with."""
        self.question, self.border_title, self.value = question, title, answer
        self.cursor_position = len(answer)
        self.display = True
        self.focus()

    def action_give_up(self) -> None:
        """Hide the line, and say that nothing was typed."""
        self._hide()
        self.post_message(self.GivenUp(self.question))

    def _hide(self) -> None:
        self.display = False
        self.screen.set_focus(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand on what was typed."""
        event.stop()
        self._hide()
        if event.value.strip():
            self.post_message(self.Answered(self.question, event.value))
