"""`attnviz explain` as a process."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from rich.cells import cell_len

import attnviz
from attnviz.lessons.toy import MASKS, POSITIONS
from tests.terminal import without_styles

Run = Callable[..., Any]

SENTENCE = "The animal didn't cross the street because it was too tired"
EVERY_COMPARISON = (
    "--scores",
    "dot,scaled-dot,cosine,general",
    "--no-scale",
    "--no-mask",
    "--no-positions",
    "--permute",
    "--online",
    "4",
)


def explained(run: Run, *args: str) -> dict[str, Any]:
    ran = run("explain", *args, "--format", "json")
    assert ran.code == 0, ran.err
    (record,) = ran.records
    return record


def values(record: dict[str, Any], name: str) -> np.ndarray:
    array = np.array(record["arrays"][name]["values"], float)
    assert list(array.shape) == record["arrays"][name]["shape"]
    return array


def test_the_head_that_tells_most_of_a_word_is_explained_with_the_models_own_weights(run: Run) -> None:
    record = explained(run, SENTENCE, "--token", "it")
    assert record["query"] == {"token": "it", "position": 8, "predicts": None}
    assert (record["text"], record["model"], record["kind"]) == (SENTENCE, "builtin/encoder", "encoder")
    attention = attnviz.load("builtin").attend(SENTENCE)[0]
    expected = attention.head(record["layer"], record["head"])[8]
    assert_allclose(values(record, "weights"), expected, atol=1e-6)
    assert record["key_tokens"][expected.argmax()] == "animal"


def test_steps_lead_from_the_embedding_to_the_residual_stream(run: Run) -> None:
    record = explained(run, SENTENCE, "--token", "it", "--layer", "3", "--head", "1")
    in_order = [name for step in record["steps"] for name in step["arrays"]]
    assert in_order == list(record["arrays"])
    path = [
        "token_embedding",
        "query",
        "keys",
        "scores",
        "scaled_scores",
        "masked_scores",
        "weights",
        "values",
        "mixed",
    ]
    path += ["heads", "output", "residual_after"]
    assert [name for name in in_order if name in path] == path
    assert all(step["formula"] and step["why"] for step in record["steps"])
    scores, weights = values(record, "scores"), values(record, "weights")
    softmax = np.exp(scores / 4 - (scores / 4).max())  # heads of the built-in encoder are 16 wide
    assert_allclose(weights, softmax / softmax.sum(), atol=1e-6)
    assert_allclose(values(record, "turned_query") @ values(record, "turned_keys").T, scores, rtol=1e-4)
    assert_allclose(weights @ values(record, "values"), values(record, "mixed"), atol=1e-5)


def test_comparisons_come_after_the_walk(run: Run) -> None:
    record = explained(run, SENTENCE, "--token", "it", "--layer", "3", "--head", "1", *EVERY_COMPARISON)
    dot, scaled, _, general = values(record, "weights_by_score")
    assert record["arrays"]["weights_by_score"]["rows"] == ["dot", "scaled-dot", "cosine", "general"]
    assert_allclose(general, dot, atol=1e-5)
    assert_allclose(scaled, values(record, "weights"), atol=1e-6)
    entropies = values(record, "weights_by_score_entropies")
    assert entropies[0] < entropies[1] < entropies[2] <= math.log2(13)
    as_it_is, no_positions = values(record, "largest_change")
    assert as_it_is > 0.1 and no_positions < 1e-5
    assert_allclose(values(record, "recomputed_weights"), scaled, atol=1e-6)


def test_without_a_token_the_most_telling_link_is_explained(run: Run) -> None:
    record = explained(run, SENTENCE)
    shown = run("show", SENTENCE).out
    assert f"Layer {record['layer']} head {record['head']}, the most telling: {record['query']['token']} →" in shown


def test_each_line_of_a_pipe_is_explained(run: Run) -> None:
    ran = run("explain", "--format", "json", "--token", "1", stdin=b"The dog barked\n\xff\nMary lost her keys\n")
    assert [record["text"] for record in ran.records] == ["The dog barked", "Mary lost her keys"]
    ran.assert_failed(1, "line 2", "not valid UTF-8")


def test_the_walk_can_be_read_from_top_to_bottom(run: Run) -> None:
    ran = run("explain", SENTENCE, "--token", "it", "--layer", "3", "--head", "1", "--width", "80")
    assert ran.code == 0 and "\x1b" not in ran.out
    places = [ran.out.index(said) for said in ("query", "key", "score", "√16", "softmax", "value", "W_O", "residual")]
    assert places[0] < places[-1]
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "1.00" in ran.out


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_nothing_is_wider_than_the_terminal(on_terminal: Run, columns: int) -> None:
    ran = on_terminal(columns, "explain", SENTENCE, "--token", "it", *EVERY_COMPARISON)
    assert ran.code == 0
    assert max(cell_len(line.rstrip()) for line in without_styles(ran.out).splitlines()) <= columns


def test_the_toy_needs_no_text(run: Run) -> None:
    record = explained(run, "--toy")
    assert record["model"] == "toy"
    assert len(record["key_tokens"]) == 5
    vectors = values(record, "vectors")
    assert record["query"] == {"token": "red", "position": 4, "predicts": None}  # the last
    assert_allclose(values(record, "similarities"), vectors @ vectors[4])
    assert values(record, "weights").sum() == pytest.approx(1)


def test_the_toy_takes_vectors_of_ones_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("a,1,0,2\nb,0,1,-1\n\nc,0.5,0.5,1e1\n")
    record = explained(run, "--vectors", str(tmp_path / "v.csv"), "--token", "c", "--heads", "3", "--head", "2")
    assert record["key_tokens"] == ["a", "b", "c"]
    assert record["query"] == {"token": "c", "position": 2, "predicts": None}
    assert values(record, "vectors").tolist() == [[1, 0, 2], [0, 1, -1], [0.5, 0.5, 10]]
    assert values(record, "heads").shape == (3, 1)


def test_vectors_without_names_are_numbered(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("1,2\n3,4\n")
    assert explained(run, "--vectors", str(tmp_path / "v.csv"), "--token", "1")["query"] == {
        "token": "vector 1",
        "position": 1,
        "predicts": None,
    }


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        (b"", "does not hold 1 to 1000 vectors"),
        (b"1,2\n3\n", "lines of 1 and of 2 numbers"),
        (b"a\nb\n", "does not hold 1 to 1000 vectors"),
        (b"a,1,x\n", "holds a cell that is not a number"),
        (b"1,nan\n", "not finite"),
        (b"\xff,1\n", "cannot be read as CSV"),
    ],
)
def test_a_file_of_other_things_is_refused(run: Run, tmp_path: Path, csv: bytes, said: str) -> None:
    (tmp_path / "v.csv").write_bytes(csv)
    run("explain", "--vectors", tmp_path / "v.csv").assert_failed(1, said)


def test_scores_that_nobody_trained_are_shown_on_the_toy_only(run: Run) -> None:
    record = explained(run, "--toy", "--scores", "dot,additive,location")
    assert "parameters of additive and location are random numbers" in record["steps"][-1]["why"]
    run("explain", SENTENCE, "--scores", "additive").assert_failed(
        2, "additive scores need parameters that this head has not learned"
    )


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("a b", "--scores", "cube"), 2, "'cube' is not known: choose one of dot, scaled-dot"),
        (("a b", "--layer", "0-1"), 2, "'0-1' is not a valid int"),
        (("a b", "--layer", "9"), 2, "There is no layer 9"),
        (("a b", "--kind", "cross"), 2, "no cross attention"),
        (("a b", "--token", "zebra"), 1, "There is no token 'zebra'"),
        (("a b", "--toy"), 2, "leave the text out"),
        (("--toy", "--token", "zebra"), 2, "There is no vector 'zebra'"),
        (("--toy", "--heads", "3"), 2, "cannot be split among 3 heads"),
        (("--toy", "--no-positions"), 2, "no positions to leave out"),
        (("--vectors", "/nowhere.csv"), 1, "/nowhere.csv cannot be read"),
        (("",), 1, "empty"),
        (("a b", "--heads", "2"), 2, "--heads has no effect without --toy"),
        (("--toy", "--layer", "3"), 2, "--layer has no effect with --toy"),
        (("--toy", "--pair", "x"), 2, "--pair has no effect with --toy"),
        (("a b", "--scores", ","), 2, "'' is not known"),
        (("a", "--permute"), 2, "at least two tokens that are not special"),
    ],
)
def test_what_cannot_be_explained_is_said_in_a_sentence(run: Run, args: tuple[str, ...], code: int, said: str) -> None:
    ran = run("explain", *args)
    ran.assert_failed(code, said)
    assert ran.out == ""


def test_a_reader_who_leaves_early_is_no_error(start: Callable[..., Any]) -> None:
    process = start("explain", SENTENCE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0 and process.stderr.read() == b""


def test_a_hostile_text_is_harmless(run: Run, run_process: Run) -> None:
    ran = run("explain", "\x1b[31mred [bold]x[/bold] \x07", "--token", "1")
    assert ran.code == 0 and "\x1b" not in ran.out and "\x07" not in ran.out
    record = json.loads(
        run_process("explain", "--vectors", "/dev/stdin", "--format", "json", stdin=b"[red]\x1b,1,2\nb,2,1\n").out
    )
    assert record["key_tokens"][0].startswith("[red]") and "\x1b" not in record["key_tokens"][0]


def test_what_the_toy_lets_choose_is_what_there_is(run: Run) -> None:
    shown = run("explain", "--help", COLUMNS="200").out
    assert f"--mask <{'|'.join(MASKS)}>" in shown and f"--positions <{'|'.join(POSITIONS)}>" in shown
    for option, names in (("--mask", MASKS), ("--positions", POSITIONS)):
        run("explain", "--toy", option, "odd").assert_failed(
            2, f"'odd' is not known: choose one of {', '.join(names)}."
        )


def numbers(record: dict[str, Any]) -> list[int]:
    return [step["number"] for step in record["steps"]]


def test_some_steps_of_a_walk_keep_their_numbers(run: Run) -> None:
    whole, some = (explained(run, "Mary lost her keys", *steps) for steps in ((), ("--steps", "5-6,8")))
    assert numbers(whole) == list(range(1, len(whole["steps"]) + 1))
    assert numbers(some) == [5, 6, 8]
    assert some["steps"] == [step for step in whole["steps"] if step["number"] in (5, 6, 8)]
    assert "weights" in some["arrays"] and "query" not in some["arrays"]
    shown = run("explain", "Mary lost her keys", "--steps", "6,5").out
    assert re.findall(r"^ *(\d+)\. ", shown, re.MULTILINE) == ["5", "6"]


def test_the_comparisons_can_be_shown_without_the_walk(run: Run) -> None:
    whole, alone = (explained(run, "--toy", "--no-scale", "--hard", *only) for only in ((), ("--only-what-if",)))
    assert [step["title"] for step in alone["steps"]] == ["Soft, hard and local attention", "Without the scale"]
    assert alone["steps"] == whole["steps"][-2:]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("a b", "--steps", "14"), "There is no step 14: this lesson has steps 1 to 13."),
        (("--toy", "--steps", "0"), "There is no step 0"),
        (("a b", "--only-what-if"), "--only-what-if has no effect without a comparison"),
        (("a b", "--only-what-if", "--no-scale", "--steps", "3"), "--steps has no effect with --only-what-if"),
        (("a b", "--steps", "x"), "'x' is not a number, a list or a range"),
        (("--toy", "--untrained"), "The toy is not trained"),
        (("--words", "query"), "the text has no effect with --words"),
        (("--words", "--toy"), "--toy has no effect with --words"),
    ],
)
def test_steps_that_cannot_be_chosen_are_refused(run: Run, args: tuple[str, ...], said: str) -> None:
    run("explain", *args).assert_failed(2, said)


def test_from_the_json_a_reader_computes_query_keys_and_values(run: Run) -> None:
    for args in (("--toy", "--heads", "2", "--head", "1"), (SENTENCE, "--token", "it"), ("cat", "--layer", "0")):
        record = explained(run, *args)
        x, context = values(record, "query_input"), values(record, "key_inputs")
        for name, of in (("query", x), ("key", context), ("value", context)):
            found = of @ values(record, f"{name}_weight").T + values(record, f"{name}_bias")
            assert_allclose(found, values(record, {"key": "keys", "value": "values"}.get(name, name)), atol=1e-4)


def test_where_the_order_counts_it_is_seen_in_the_sentence_of_the_docs(run: Run) -> None:
    head = "--token", "1", "--layer", "2", "--head", "5"
    record = explained(run, "The old man saw the young woman", *head, "--no-positions", "--permute", "--only-what-if")
    with_positions, without = values(record, "weights_without_positions")
    assert with_positions.max() > 0.9 and without[with_positions.argmax()] < 0.1
    assert record["key_tokens"][with_positions.argmax()] == "man"
    as_it_is, shuffled, *same = values(record, "weights_permuted")
    assert as_it_is.max() > 0.9 and shuffled[as_it_is.argmax()] < 0.1
    assert_allclose(*same, atol=1e-5)


def test_an_untrained_head_does_not_find_what_the_trained_one_does(run: Run) -> None:
    for name, text, token in (
        ("builtin", "Mary lost her keys", "her"),
        ("builtin/translator", "The red car is fast", "la"),
        ("builtin/bahdanau", "The red car is fast", "la"),
    ):
        record, again = (
            explained(run, text, "--model", name, "--token", token, "--untrained", "--only-what-if") for _ in range(2)
        )
        trained, untrained = values(record, "weights_untrained")
        assert trained.max() > 0.9 and untrained.max() < 0.4
        assert untrained.sum() == pytest.approx(1, abs=1e-5)
        assert record["arrays"] == again["arrays"]  # the seed is stated


def test_matrices_have_a_row_for_each_query(run: Run) -> None:
    record = explained(run, "The dog saw the cat", "--model", "builtin/decoder", "--token", "saw", "--matrices")
    weights = values(record, "matrix_weights")
    attention = attnviz.load("builtin/decoder").attend("The dog saw the cat")[0]
    assert_allclose(weights, attention.head(record["layer"], record["head"]), atol=1e-6)
    assert_allclose(weights[record["query"]["position"]], values(record, "weights"), atol=1e-6)
    assert "M is what is added" in record["steps"][-1]["why"]
    assert record["steps"][-1]["formula"] == "Z = A V,  A = softmax(Q Kᵀ / √d_k + M)"


@pytest.mark.parametrize(("args", "told"), [((), True), (("--heads", "2"), False)])
def test_a_toy_of_one_head_says_how_to_see_several(run: Run, args: tuple[str, ...], told: bool) -> None:
    out = " ".join(run("explain", "--toy", *args).out.split())
    assert ("Several could look for several things at once: --heads 2." in out) == told


TWICE = "The cat saw the bird and the dog"


@pytest.mark.parametrize(
    ("token", "position", "others"),
    [("the", 4, "1 The, 7 the"), ("The", 1, "4 the, 7 the"), ("THE", 1, "4 the, 7 the")],
)
def test_a_word_is_found_as_it_is_spelled_and_its_other_places_are_named(
    run: Run, token: str, position: int, others: str
) -> None:
    record = explained(run, TWICE, "--token", token)
    assert (record["query"]["position"], record["query"]["token"]) == (position, TWICE.split()[position - 1])
    note = f"{token} stands at 3 places. For another, give its position: {others}."
    assert note in record["notes"]
    assert note in " ".join(run("explain", TWICE, "--token", token, "--steps", "7").out.split())
    for once in ("7", "cat"):
        assert not [each for each in explained(run, TWICE, "--token", once)["notes"] if "stands at" in each]
    pieces = explained(run, "An unbelievability", "--token", "unbelievability")["notes"]
    explained_first = "is 7 tokens, of which the first is explained. For another, give its position: "
    assert any(note.startswith(f"unbelievability {explained_first}") for note in pieces)
    both = explained(run, "An unbelievability unbelievability", "--token", "unbelievability")["notes"]
    told = f"unbelievability stands at 2 places and {explained_first}9 "
    assert any(note.startswith(told) for note in both)
    many = explained(run, " ".join(["dog", "cat"] * 13), "--token", "dog")["notes"]
    assert any(note.endswith(": 3 dog, 5 dog, 7 dog, 9 dog, 11 dog, 13 dog, 15 dog, 17 dog, ….") for note in many)


def test_the_command_that_gives_all_numbers_gives_those_of_the_largest_score(run: Run) -> None:
    narrow, wide = (run("explain", SENTENCE, "--token", "it", "--steps", "5", "--width", w).out for w in ("80", "200"))
    command = "add --format json | jq -c '.arrays.largest_score.values[]'"
    assert f"all 16 numbers: {command}" in narrow and command not in wide
    record = explained(run, SENTENCE, "--token", "it", "--steps", "5")
    query, key, products = values(record, command.split(".")[2])
    assert_allclose(query * key, products, rtol=1e-5)
    assert products.sum() == pytest.approx(values(record, "scores").max(), rel=1e-4)
    for name, vector in (("q'", query), ("products", products)):
        (line,) = (line for line in wide.splitlines() if line.strip().startswith(name))
        assert line.split()[-16:] == [f"{number:z.2f}".replace("-", "−") for number in vector]


def test_several_kinds_of_positions_are_compared_and_the_first_is_walked(run: Run) -> None:
    kinds = "rotary", "learned", "alibi"
    record = explained(run, "--toy", "--positions", ",".join(kinds), "--only-what-if")
    assert record["arrays"]["pair_scores"]["rows"] == list(kinds)
    assert (values(record, "pair_changes") != 0).tolist() == [False, True, False]
    walked = explained(run, "--toy", "--positions", ",".join(kinds))
    assert "turned_query" in walked["arrays"] and "position_bias" not in walked["arrays"]
    run("explain", "--toy", "--positions", "rotary,odd").assert_failed(2, "'odd' is not known: choose one of none")
    run("explain", "--toy", "--positions", "rotary", "--only-what-if").assert_failed(2, "without a comparison")


@pytest.mark.parametrize(
    ("args", "heads"),
    [
        (("--positions", "rotary"), 1),
        (("--positions", "alibi"), 2),
        (("--positions", "none,alibi"), 2),
        (("--positions", "alibi", "--heads", "1"), 1),
        (("--positions", "alibi", "--heads", "4"), 4),
    ],
)
def test_the_toy_has_two_heads_where_alibi_would_not_be_seen_in_one(
    run: Run, tmp_path: Path, args: tuple[str, ...], heads: int
) -> None:
    assert values(explained(run, "--toy", *args), "heads").shape == (heads, 4 // heads)
    (tmp_path / "v.csv").write_text("1,2,3\n3,4,5\n")
    if "--heads" not in args and "rotary" not in args:  # three numbers are not split in two
        assert values(explained(run, "--vectors", str(tmp_path / "v.csv"), *args), "heads").shape == (1, 3)


def test_under_a_mask_the_toy_begins_where_something_is_hidden(run: Run) -> None:
    for mask, query in (("causal", 3), ("prefix", 3), ("window", 4), ("none", 4)):
        record = explained(run, "--toy", "--mask", mask)
        assert record["query"]["position"] == query
        assert ("The mask" in [step["title"] for step in record["steps"]]) == (mask != "none")
