"""Errors and notes name options as Python has them, and only the command line writes flags."""

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import attnviz
from attnviz.cli.app import COMMANDS, app
from attnviz.cli.options import flag
from attnviz.errors import Advice, RecordError, UsageError, write_options

PACKAGE = Path(attnviz.__file__).parent
OUTSIDE_THE_COMMAND_LINE = [
    path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in ("cli", "training")
]

FLAG = re.compile(r"(?<![-\w])--[a-z]")
NAMED = re.compile(r"\{([a-z_]+)(?::([^{}]+))?\}")
ANYTHING = "7"


def strings_of(source: str) -> Iterator[str]:
    """The strings in the source of a module, docstrings excepted; what an f-string takes in is a number in them."""
    tree = ast.parse(source)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else ANYTHING for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told | parts:
            yield node.value


def flags_of_the_command_line() -> set[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    context = group.make_context("attnviz", ["show"])
    commands = [group.get_command(context, name) for name in COMMANDS]
    return {
        name for command in commands for option in command.params for name in (*option.opts, *option.secondary_opts)
    }


@pytest.mark.parametrize("path", OUTSIDE_THE_COMMAND_LINE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_but_those_of_the_command_line_writes_a_flag(path: Path) -> None:
    assert [said for said in strings_of(path.read_text(encoding="utf-8")) if FLAG.search(said)] == []


def test_every_option_that_a_hint_names_is_one_of_the_command_line() -> None:
    named = {
        (found[1], found[2] or "")
        for path in OUTSIDE_THE_COMMAND_LINE
        for said in strings_of(path.read_text(encoding="utf-8"))
        for found in NAMED.finditer(said)
    }
    assert {("pair", ""), ("dtype", "bfloat16"), ("window", f"{ANYTHING}:{ANYTHING}")} <= named  # they are found at all
    assert {flag(*one).partition(" ")[0] for one in named} - flags_of_the_command_line() == set()


@pytest.mark.parametrize(
    ("hint", "in_python", "typed"),
    [
        ("leave {pair} out.", "leave `pair` out.", "leave --pair out."),
        ("give {d_model} and {heads:32}.", "give `d_model` and `heads=32`.", "give --d-model and --heads 32."),
        ("try {dtype:bfloat16}.", 'try `dtype="bfloat16"`.', "try --dtype bfloat16."),
        ("({window:11:5})", '(`window="11:5"`)', "(--window 11:5)"),
        ("{added_tokens:False} adds none", "`added_tokens=False` adds none", "--no-added-tokens adds none"),
        ("pass {trust_remote_code:True}.", "pass `trust_remote_code=True`.", "pass --trust-remote-code."),
    ],
)
def test_a_hint_names_an_option_as_python_and_as_the_command_line_have_it(
    hint: str, in_python: str, typed: str
) -> None:
    error = UsageError("No {pair}:", hint)
    assert str(error) == f"No {{pair}}: {in_python}"
    assert write_options(error.advice, flag) == f"No {{pair}}: {typed}"


@pytest.mark.parametrize("text", ["{pair}", "{", "}", "{{pair}}", "{0}", "{pair!r:{by}}", "%s {}"])
def test_what_comes_from_outside_stays_as_it_is(text: str) -> None:
    advice = text + Advice(text, hint="leave {by} out") + text
    assert advice == f"{text}{text} leave `by` out{text}"
    assert write_options(advice, flag) == f"{text}{text} leave --by out{text}"
    assert write_options(text, flag) == text


def test_in_python_the_notes_of_a_record_name_arguments() -> None:
    found = attnviz.load("minilm").attend("[CLS] the cat")[0].notes
    assert found == (
        "[CLS] stands twice at the beginning: once in the text, and once added by the tokenizer "
        "(`added_tokens=False` adds none)",
    )


def test_an_error_that_stands_for_another_keeps_its_hint() -> None:
    error = RecordError(UsageError("A chat is one text:", hint="leave {pair} out.").advice)
    assert write_options(error.advice, flag) == "A chat is one text: leave --pair out."


def test_a_hint_comes_through_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(UsageError("{a} chat is one text:", hint="leave {pair} out.")))
    assert type(error) is UsageError
    assert str(error) == "{a} chat is one text: leave `pair` out."
    assert write_options(error.advice, flag) == "{a} chat is one text: leave --pair out."
