"""The glossary of `attnviz explain`: its words, and that the command of each shows it."""

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len

from attnviz.cli.glossary import GLOSSARY, GlossaryEntry, find_near, look_up

Run = Callable[..., Any]

SHOWS = {
    "attention": "With softmax",
    "embedding": "The token becomes a vector",
    "query": "The query of this token",
    "key": "The key of every token",
    "value": "The value of every token",
    "score": "The scores: the query is compared with every key",
    "scale": "Without the scale",
    "softmax": "Softmax: scores become weights",
    "logits": "score  exp(s_j − m)  weight",
    "temperature": "weights with and without the scale",
    "attention sink": "sink",
    "window": "In a window, a query only sees tokens that are near",
    "grouped-query attention": "Groups of 4 heads share one key and one value",
    "most telling": "Layer 1 head 1, the most telling: her → Mary",
    "KV cache": "key/value cache, a token",
    "mask": "Without the mask",
    "self-attention": "The key of every token",
    "cross-attention": "The key of every token",
    "masked attention": "The mask",
    "multi-head attention": "All heads together: concatenation and W_O",
    "position": "Without positions",
    "rotary positions": "Pairs are the numbers 0 and 2, 1 and 3",
    "transformer": "Mary lost her keys",
    "encoder": "Layer 1 head 1",
    "decoder": "Layer 0 head 1",
    "norm": "the same after the norm",
    "additive attention": "The same head under other score functions",
    "hard attention": "Soft, hard and local attention",
    "residual stream": "Added to the residual stream",
    "feed-forward network": "The feed-forward network (MLP)",
    "FlashAttention": "Softmax, tile by tile (FlashAttention)",
    "importance": "The weighted sum",
    "matrix": "W_Q of head 1  16 × 96",
    "training": "Without training",
    "special token": "special tokens dropped",
    "weight": "Layer 1 head 1",
    "head": "her",
    "layer": "Layer 1",
    "token": "lion",
    "entropy": "entropy",
    "induction": "Layer 1 head 3",
    "cost": "N×N weights of a head",
}
"""What stands in the output of the command of each word."""

each_entry = pytest.mark.parametrize("entry", GLOSSARY, ids=lambda entry: entry.word)


def test_each_name_is_of_one_word_alone() -> None:
    names = [name.casefold().replace("-", " ") for entry in GLOSSARY for name in (entry.word, *entry.aliases)]
    assert len(names) == len(set(names))
    assert {entry.word for entry in GLOSSARY} == set(SHOWS)


@each_entry
def test_a_meaning_is_one_to_four_sentences(entry: GlossaryEntry) -> None:
    assert 1 <= len(re.findall(r"[.](?: |$)", entry.meaning)) <= 4
    assert len(entry.meaning) < 450
    assert entry.gist in f"{entry.meaning} "


@each_entry
def test_the_command_of_a_word_shows_it(entry: GlossaryEntry, run: Run) -> None:
    command, *args = shlex.split(entry.command)
    assert command == "attnviz"
    ran = run(*args)
    assert (ran.code, ran.err) == (0, "")
    assert SHOWS[entry.word] in ran.out


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("Query", "query"),
        ("queries", "query"),
        ("keys", "key"),
        ("residual-stream", "residual stream"),
        ("cross attention", "cross-attention"),
        ("MLP", "feed-forward network"),
        ("n²", "cost"),
        ("flash attention", "FlashAttention"),
        ("multi query attention", "grouped-query attention"),
        ("MQA", "grouped-query attention"),
        ("GQA", "grouped-query attention"),
        ("MHA", "multi-head attention"),
        ("output projection", "multi-head attention"),
        ("W_O", "multi-head attention"),
        ("kv-cache", "KV cache"),
        ("logits", "logits"),
        ("scaled dot-product attention", "attention"),
        ("learned", "position"),
        ("sinks", "attention sink"),
        ("telling", "most telling"),
        ("zebra", None),
    ],
)
def test_a_word_is_found_in_any_case_and_number(word: str, found: str | None) -> None:
    entry = look_up(word)
    assert (entry and entry.word) == found


@pytest.mark.parametrize(
    ("word", "near"),
    [("qeury", "query"), ("queries", "query"), ("sofmax", "softmax"), ("zebra", None), ("street", None)],
)
def test_a_near_word_is_found(word: str, near: str | None) -> None:
    entry = find_near(word)
    assert (entry and entry.word) == near


def test_a_word_of_the_glossary_alone_is_looked_up(run: Run) -> None:
    ran = run("explain", "query", "--width", "60", ATTNVIZ_MODEL="builtin/decoder")
    assert (ran.code, ran.err) == (0, "")
    first, *rest, command = ran.out.splitlines()
    assert first == "query"
    assert "what this token is looking for" in " ".join(line.strip() for line in rest)
    assert command == '    attnviz explain "Mary lost her keys" --token her --steps 3'  # may be wider, to be copied
    (record,) = run("explain", "Residual stream", "--format", "json").records
    assert set(record) == {"word", "meaning", "command"} and record["word"] == "residual stream"


@pytest.mark.parametrize(
    "args", [("query", "--token", "1"), ("query", "--layer", "0"), ("query", "key"), ("query", "--no-scale")]
)
def test_a_word_of_the_glossary_with_anything_that_says_what_to_explain_is_a_text(
    run: Run, args: tuple[str, ...]
) -> None:
    ran = run("explain", *args, "--format", "json")
    assert ran.records[0]["text"] == "query" and "arrays" in ran.records[0]


def test_from_a_pipe_a_word_of_the_glossary_is_a_text(run: Run) -> None:
    assert run("explain", "--format", "json", stdin=b"query\n").records[0]["text"] == "query"


def test_a_word_that_is_nearly_in_the_glossary_is_a_text_with_a_note(run: Run) -> None:
    for typed, meant in (("sofmax", "softmax"), ("residual streem", "residual stream")):
        ran = run("explain", typed)
        assert ran.code == 0 and "The query is token" in ran.out
        assert ran.err == (
            f'Note: "{typed}" is not in the glossary, so it is read as a text. For the glossary: attnviz explain '
            f'"{meant}"\n'
        )


def test_several_arguments_that_are_nearly_in_it_have_this_note_too(run: Run) -> None:
    ran = run("explain", "residual", "streem", "--format", "json")
    assert [record["text"] for record in ran.records] == ["residual", "streem"]
    assert ran.err.splitlines() == [
        'Note: "residual streem" is not in the glossary, so each argument is read as a text. For the glossary: attnviz '
        'explain "residual stream"',
        'Note: 2 texts are read, one for each argument. If they are one text, quote it: "residual streem".',
    ]


@pytest.mark.parametrize("typed", ["query key", "Queries keys"])
def test_several_words_of_the_glossary_are_a_text_with_a_note(run: Run, typed: str) -> None:
    ran = run("explain", typed)
    assert ran.code == 0 and "The query is token" in ran.out
    assert 'For the glossary: attnviz explain "query", attnviz explain "key"\n' in ran.err


@pytest.mark.parametrize("typed", ["street", "Mary", "42", "猫", "→∞"])
def test_a_single_word_that_is_not_in_the_glossary_has_a_note(run: Run, typed: str) -> None:
    ran = run("explain", typed, "--format", "json")
    assert ran.records[0]["text"] == typed
    assert ran.err == (
        f'Note: "{typed}" is not in the glossary, so it is read as a text; attnviz explain --words lists the '
        "glossary.\n"
    )


@pytest.mark.parametrize("typed", [("the", "cat"), ("query", "key")])
def test_several_arguments_have_only_the_note_that_they_are_several_texts(run: Run, typed: tuple[str, ...]) -> None:
    said = "Note: 2 texts are read, one for each argument. If they are one text, quote it"
    assert run("explain", *typed).err == f'{said}: "{" ".join(typed)}".\n'


@pytest.mark.parametrize("typed", ["cats sleep", "Mary sleeps", "I love you", "the key opens", "猫 犬"])
def test_a_text_of_several_words_not_all_near_the_glossary_has_no_note(run: Run, typed: str) -> None:
    ran = run("explain", typed, "--format", "json")
    assert (ran.records[0]["text"], ran.err) == (typed, "")


def test_it_has_none_where_it_is_long_or_piped_or_an_option_says_what_to_explain(run: Run) -> None:
    for args in (("query key value score",), ("query key", "--token", "1"), ("-",)):
        assert run("explain", *args, stdin=b"street").err == ""


def test_what_is_no_text_is_not_said_to_be_read_as_one(run: Run) -> None:
    for name in ("nowhere.txt", ""):
        (said,) = run("explain", name).err.splitlines()
        assert said.startswith("Error: ")


@pytest.mark.parametrize("typed", ["residual stream", "cross attention", "multi head attention"])
def test_the_words_of_an_entry_need_no_quotes(run: Run, typed: str) -> None:
    assert run("explain", *typed.split()) == run("explain", typed)
    assert run("explain", typed).err == ""


def test_all_words_of_the_glossary_are_listed(run: Run) -> None:
    records = run("explain", "--words", "--format", "json").records
    shown = run("explain", "--words", "--width", "60").out
    assert len(records) > 20
    assert [line for line in shown.splitlines() if line and line[0] != " "][: len(records)] == [
        record["word"] for record in records
    ]
    assert max(map(cell_len, shown.splitlines())) <= 60
