"""The glossary of `attnviz explain`: which argument is a word of it, and how it is printed."""

import json
from collections.abc import Iterator, Sequence

import typer
from rich.text import Text

from attnviz.cli.effects import list_given
from attnviz.cli.glossary import GLOSSARY, GlossaryEntry, find_near, look_up
from attnviz.cli.output import say, write_standard_output
from attnviz.cli.settings import ANYWHERE
from attnviz.cli.terminal import open_terminal
from attnviz.text import visible
from attnviz.views.terminal.numbers import wrapped

_MOST = 90  # columns of prose
_MOST_WORDS = 8  # that may be meant as words of the glossary
_INDENT = "    "


def look_up_words(ctx: typer.Context, texts: Sequence[str], every: bool) -> Sequence[GlossaryEntry]:
    """Return the words to look up: all, or the one that was given alone; none if a text is to be walked.

    Where all that was given may be meant as words of the glossary, a note says how to look them up.
    """
    if every:
        return GLOSSARY
    if not texts or {*list_given(ctx)} - {"texts", "form", *ANYWHERE}:
        return ()
    if len(texts) == 1 and (entry := look_up(texts[0])):
        return (entry,)
    words = [word for text in texts for word in ([text] if look_up(text) else text.split())]
    near = [look_up(word) or find_near(word) for word in words] if len(words) <= _MOST_WORDS else []
    if near and all(near):
        read = f"{visible(texts[0])} is read as a text" if len(texts) == 1 else "these words are read as texts"
        commands = dict.fromkeys(f'attnviz explain "{entry.word}"' for entry in near if entry)
        say(f"Note: {read}. For the glossary: {', '.join(commands)}")
    return ()


def print_words(entries: Sequence[GlossaryEntry], *, as_data: bool, color: str, width: int | None) -> None:
    """Print entries to read, or as a line of JSON each."""
    if as_data:
        fields = ({"word": one.word, "meaning": one.meaning, "command": one.command} for one in entries)
        write_standard_output("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in fields).encode())
        return
    screen = open_terminal(color, width)
    whole = len(entries) > 1
    for line in _list(entries, screen.width) if whole else _define(entries[0], screen.width):
        screen.print(line, soft_wrap=True)  # a command is not broken


def _define(entry: GlossaryEntry, width: int) -> Iterator[Text]:
    """Yield a word, its meaning, and on one line of any width the command that shows it."""
    yield Text(entry.word, "bold")
    yield from _indent(Text(entry.meaning), width)
    yield Text()
    yield Text(_INDENT + entry.command, "italic #2a9a8c")


def _list(entries: Sequence[GlossaryEntry], width: int) -> Iterator[Text]:
    """Yield each word and the first sentence of its meaning, and how to read the rest."""
    for entry in entries:
        yield Text(entry.word, "bold")
        yield from _indent(Text(entry.gist), width)
    yield Text()
    yield from wrapped(
        Text('The whole entry of a word, with a command that shows it: attnviz explain "residual stream"'), width
    )


def _indent(words: Text, width: int) -> Iterator[Text]:
    for line in wrapped(words, min(width, _MOST) - len(_INDENT)):
        yield Text(_INDENT).append_text(line)
