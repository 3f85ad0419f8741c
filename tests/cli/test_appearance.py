"""What the commands print, as a reader sees it: each output is a file in snapshots/, for the columns that it names.

After a change that is meant, `python -m pytest tests/cli/test_appearance.py --rewrite-snapshots` writes the files
again, and `git diff` shows what has become of them.
"""

from collections.abc import Callable

import pytest

from tests.cli.conftest import Run

ANIMAL, KEYS = "The animal didn't cross the street because it was too tired", "Mary lost her keys"
CAR = "The red car is fast", "--model", "builtin/translator"
LONG = "The old man saw a boat and the boy took it home. " * 5
TWO_COLUMNS = 60, 80
BUILTIN = "encoder", "decoder", "translator", "bahdanau"

WIDE = {
    "show-several-texts": ("show", "the cat", "a dog", "--layer", "1", "--head", "2"),
    "show-transposed": ("show", KEYS, "--layer", "3", "--head", "0", "--transpose"),
    "show-layer": ("show", "Mary slept", "--layer", "2", "--all"),
    "show-average": ("show", KEYS, "--mean", "--no-special"),
    "show-words": ("show", "unbelievably tired", "--by", "word", "--layer", "0", "--head", "0"),
    "show-bins": ("show", LONG, "--by", "bins:5", "--layer", "0", "--head", "0"),
    "show-rows": ("show", ANIMAL, "--rows", "it,2-3", "--layer", "0", "--head", "0"),
    "show-decoder": ("show", KEYS, "--model", "builtin/decoder"),
    "show-translation": ("show", *CAR, "--kind", "cross"),
    "show-translation-token": ("show", *CAR, "--token", "rouge"),
    "show-pair": (
        "show",
        "Dogs bark.",
        "--pair",
        "Animals make sounds.",
        "--model",
        "minilm",
        "--by",
        "segment",
        "--mean",
    ),
    "heads-sorted": ("heads", ANIMAL, "--sort", "entropy", "--top", "3"),
    "heads-several-texts": ("heads", ANIMAL, KEYS, "--stat", "previous", "--stat", "next"),
    "heads-list": ("heads", "--list", "sink"),
    "verify-list": ("verify", "--list", "--model", "gpt2"),
    "cost-shape": ("cost", "--d-model", "4096", "--heads", "32", "--key-heads", "8", "--layers", "32"),
}
NARROW = {
    "show": ("show", ANIMAL),
    "show-head": ("show", ANIMAL, "--layer", "1", "--head", "2"),
    "show-long": ("show", LONG, "--layer", "1", "--head", "2", "--top", "3"),
    "show-token": ("show", KEYS, "--token", "her"),
    "heads": ("heads", ANIMAL),
    "cost": ("cost",),
    "models": ("models",),
    "verify": ("verify", *(word for name in BUILTIN for word in ("--model", f"builtin/{name}"))),
}
"""The commands that are looked at in a narrow terminal too."""

OUTPUTS = [
    *((name, args, 80) for name, args in WIDE.items()),
    *((n, a, w) for n, a in NARROW.items() for w in TWO_COLUMNS),
]
Snapshot = Callable[[str, str], None]


@pytest.mark.parametrize(("name", "args", "width"), OUTPUTS, ids=[f"{name}-{width}" for name, _, width in OUTPUTS])
def test_a_command_prints_what_it_printed(
    run: Run, check_snapshot: Snapshot, name: str, args: tuple[str, ...], width: int
) -> None:
    done = run(*args, "--width", str(width))
    assert (done.code, done.err) == (0, "")
    assert "\x1b" not in done.out
    check_snapshot(done.out, f"{name}-{width}")


@pytest.mark.parametrize("width", TWO_COLUMNS)
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("explain", ("explain", KEYS, "--token", "her")),
        ("explain-toy", ("explain", "--toy")),
        ("explain-translation", ("explain", *CAR, "--token", "la")),
    ],
)
def test_explain_begins_as_it_began(
    run: Run, check_snapshot: Snapshot, name: str, args: tuple[str, ...], width: int
) -> None:
    done = run(*args, "--width", str(width))
    assert (done.code, done.err) == (0, "")
    first_steps, found, _ = done.out.partition("\n 4. ")
    assert found
    check_snapshot(first_steps, f"{name}-{width}")


def test_help_of_all_commands(run: Run, check_snapshot: Snapshot) -> None:
    check_snapshot(run("--help", COLUMNS="80").out, "help")
