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
from attnviz.pipeline.arguments import check_arguments, names_saved
from attnviz.pipeline.sources import STANDARD_INPUT
from attnviz.views.terminal.cells import wrapped

_MOST = 90  # columns of prose
_FEW = 3  # words, which may be meant as those of the glossary
_INDENT = "    "


def look_up_words(ctx: typer.Context, texts: Sequence[str], every: bool) -> Sequence[GlossaryEntry]:
    """Return the words to look up: all, or the one that was given alone; none if a text is to be walked.

    Several arguments may be one word: `residual stream`. A note tells whoever gave what may be meant as one, and
    nothing else, that it is read as text.

    Raises:
        UsageError: it names a file that is not read in place of a text, or that is not there.
        InputError: there is no such file of saved records.
    """
    if every:
        return GLOSSARY
    if {*list_given(ctx)} - {"texts", "form", *ANYWHERE} or STANDARD_INPUT in texts:
        return ()
    said = " ".join(texts)
    if entry := look_up(said):
        return (entry,)
    if 0 < len(said.split()) <= _FEW and not any(map(names_saved, texts)):
        check_arguments(texts)  # before they are said to be read
        several = len(texts) > 1
        if advice := _advise(said, () if several else said.split()):
            read = "each argument is" if several else "it is"
            say(f'Note: "{said}" is not in the glossary, so {read} read as a text{advice}')
    return ()


def _advise(said: str, words: Sequence[str]) -> str:
    """Return the end of a sentence, which says how to look up what may have been meant; "" if that is a text.

    All of it, or each of its `words`, is near a word of the glossary; or it is a single word, which is hardly a text.
    """
    whole = find_near(said)
    near = [whole] if whole else [look_up(word) or find_near(word) for word in words]
    if near and all(near):
        commands = dict.fromkeys(f'attnviz explain "{entry.word}"' for entry in near if entry)
        return f". For the glossary: {', '.join(commands)}"
    return "; attnviz explain --words lists the glossary." if len(words) == 1 else ""


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
