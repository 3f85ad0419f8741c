import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import attnviz
from tests.cli.conftest import Run
from tests.pages import ROOT

TEXT = "The animal didn't cross the street because it was too tired"
PAIRS, TREEBANK = ROOT / "sample_inputs/coreference_pairs.tsv", ROOT / "sample_inputs/treebank.conllu"
LINES = ROOT / "sample_inputs/coreference.txt"


def test_heads_come_by_the_weight_that_they_give_the_link(run: Run) -> None:
    (record,) = run("find", "it -> animal", TEXT, "--format", "json").records
    (attention,) = attnviz.load("builtin").attend(TEXT)
    names = [token.text for token in attention.query_tokens]
    weights = attention.weights[..., names.index("it"), names.index("animal")]
    assert {(head["layer"], head["head"]) for head in record["heads"]} == set(product(range(4), range(6)))
    for head in record["heads"]:
        assert head["weight"] == pytest.approx(float(weights[head["layer"], head["head"]]), abs=1e-6)
    found = [head["weight"] for head in record["heads"]]
    assert found == sorted(found, reverse=True)
    assert list(record["definitions"]) == ["weight", "accuracy", "baseline", "weight_back", "accuracy_back"]


def test_a_word_that_stands_several_times_counts_with_the_mean_of_its_places(run: Run) -> None:
    text = "the dog saw the cat"
    (record,) = run("find", "saw -> the", text, "--format", "json").records
    (attention,) = attnviz.load("builtin").attend(text)
    expected = attention.weights[..., 3, [1, 4]].mean(-1)  # [CLS] the dog saw the cat
    for head in record["heads"]:
        assert head["weight"] == pytest.approx(float(expected[head["layer"], head["head"]]), abs=1e-6)


def test_over_texts_it_is_the_mean_with_its_error_and_texts_that_lack_it_are_left_out(run: Run) -> None:
    ran = run("find", "it -> animal", "--file", LINES, "--format", "json")
    (record,) = ran.records
    assert (ran.code, record["texts"]) == (0, 2)
    assert ran.err == "Note: 22 of the texts lack the link it → animal, and are left out.\n"
    lines = LINES.read_text().splitlines()[:2]
    each = [run("find", "it -> animal", line, "--format", "json").records[0]["heads"] for line in lines]
    by_head = [{(head["layer"], head["head"]): head["weight"] for head in heads} for heads in each]
    for head in record["heads"]:
        values = [heads[head["layer"], head["head"]] for heads in by_head]
        assert head["weight"] == pytest.approx(np.mean(values), abs=1e-9)
        assert head["weight_se"] == pytest.approx(np.std(values, ddof=1) / 2**0.5, abs=1e-9)


def test_where_no_text_has_the_link_it_fails(run: Run) -> None:
    run("find", "it -> giraffe", "--file", LINES).assert_failed(1, "None of the texts", "it → giraffe")
    run("find", "it -> giraffe", TEXT).assert_failed(1, "no token 'giraffe'", "6 street")


@pytest.mark.parametrize("args", [("it -> animal", "--file", LINES), ("--pairs", PAIRS), ("--relations", TREEBANK)])
@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_any_number_of_processes_gives_the_same_bytes(run: Run, args: tuple[str, ...], form: str) -> None:
    ran = [run("find", *args, "--jobs", jobs, "--format", form) for jobs in "127"]
    assert [each.code for each in ran] == [0, 0, 0]
    assert ran[0].stdout == ran[1].stdout == ran[2].stdout != b""


def test_a_head_links_a_pronoun_to_its_noun_more_often_than_any_distance_does(run: Run) -> None:
    best, *_ = run("find", "--pairs", PAIRS, "--format", "csv").rows()
    assert (best["kind"], best["layer"], best["head"], best["accuracy_n"]) == ("encoder", "2", "1", "24")
    assert float(best["accuracy"]) == pytest.approx(20 / 24) and float(best["baseline"]) == 0.5


def test_saved_records_are_searched_as_the_texts_are_that_they_are_of(run: Run, tmp_path: Path) -> None:
    (tmp_path / "saved.jsonl").write_bytes(run("show", "--file", LINES, "--format", "json").stdout)
    found, expected = (run("find", "it -> street", *args) for args in ((tmp_path / "saved.jsonl",), ("--file", LINES)))
    assert found.stdout == expected.stdout


def test_a_kind_that_has_not_both_words_is_left_out(run: Run) -> None:
    asked = "find", "la -> car", "The red car is fast", "--model", "builtin/translator"
    (record,) = run(*asked, "--target", "la voiture rouge est rapide", "--format", "json").records
    assert record["kind"] == "cross"
    assert record["heads"][0]["accuracy"] == 1 and record["heads"][0]["baseline"] is None
    run(*asked, "--kind", "encoder").assert_failed(1, "no token 'la'")
    run("find", "it -> animal", TEXT, "--kind", "cross").assert_failed(2, "no cross attention")


def test_a_pair_that_cannot_be_is_reported_by_its_line_and_the_others_go_on(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(f"text\tfrom\tto\n{TEXT}\tit\tanimal\nonly one column\n{TEXT}\tit\tgiraffe\n{TEXT}\t\tanimal\n\n")
    ran = run("find", "--pairs", path, "--format", "json")
    ran.assert_failed(1, f"line 3 of {path}: The line has 1 columns", f"line 4 of {path}: There is no token 'giraffe'",
               f"line 5 of {path}: The line has an empty column")  # fmt: skip
    assert ran.records[0]["texts"] == 1


def test_a_malformed_line_of_a_treebank_is_reported_and_the_other_sentences_go_on(run: Run, tmp_path: Path) -> None:
    path, lines = tmp_path / "bad.conllu", TREEBANK.read_text().splitlines()
    lines[3] = lines[3].replace("\t", " ")
    path.write_text("\n".join(lines) + "\n")
    ran = run("find", "--relations", path, "--format", "json")
    ran.assert_failed(1, f"line 4 of {path}: This line has 1 columns: CoNLL-U has 10")
    assert ran.records[0]["texts"] == 11


def test_relations_have_a_row_each_the_most_frequent_first(run: Run) -> None:
    rows = run("find", "--relations", TREEBANK, "--format", "csv").rows()
    assert list(rows[0]) == [
        "kind", "relation", "layer", "head", "direction", "accuracy", "baseline", "count", "offset",
        "held_out_accuracy", "held_out_baseline", "held_out_count",
    ]  # fmt: skip
    assert (rows[0]["relation"], rows[0]["count"]) == ("all", "72")
    assert {row["relation"]: row["accuracy"] for row in rows}["det"] == "1.0"


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("args", [("it -> animal", TEXT), ("--pairs", PAIRS), ("--relations", TREEBANK, "--all")])
def test_tables_fit_the_terminal(run: Run, width: int, args: tuple[str, ...]) -> None:
    ran = run("find", *args, "--width", str(width))
    assert (ran.code, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= width


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((TEXT,), 'A link is written as "it -> animal"'),
        (("it ->", TEXT), 'A link is written as "it -> animal"'),
        ((), "no link to find"),
        (("it -> animal", "--pairs", PAIRS), "leave the link, texts and --file out"),
        (("--pairs", PAIRS, "--relations", TREEBANK), "give one of them"),
        (("it -> animal", TEXT, "--top", "3", "--all"), "--top has no effect with --all"),
        (("it -> animal", TEXT, "--top", "3", "--format", "csv"), "choose --format table"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, args: tuple[str, ...], said: str) -> None:
    run("find", *args).assert_failed(2, said)


def test_a_file_that_is_not_there_is_a_sentence(run: Run, tmp_path: Path) -> None:
    run("find", "--pairs", tmp_path / "none.tsv").assert_failed(1, "none.tsv cannot be read: No such file")


def test_python_gives_the_bytes_of_the_command(run: Run, tmp_path: Path) -> None:
    model, lines = attnviz.load("builtin"), LINES.read_text().splitlines()
    found = {
        "link": (attnviz.find(model, "it -> animal", lines[:2]), ("it -> animal", *lines[:2])),
        "pairs": (attnviz.find(model, pairs=str(PAIRS)), ("--pairs", PAIRS)),
        "relations": (attnviz.find(model, relations=TREEBANK), ("--relations", TREEBANK)),
    }
    for name, (tables, args) in found.items():
        for form in ("json", "csv"):
            attnviz.save(tmp_path / f"{name}.{form}", tables)
            assert (tmp_path / f"{name}.{form}").read_bytes() == run("find", *args, "--format", form).stdout
    assert all(json.loads(line) for line in (tmp_path / "link.json").read_text().splitlines())


def test_python_refuses_what_names_no_one_thing_to_find() -> None:
    model = attnviz.load("builtin")
    for wrong in ({}, {"link": "it -> animal"}, {"link": "it -> animal", "texts": TEXT, "pairs": []}):
        with pytest.raises(attnviz.AttnvizError, match="one thing to find"):
            attnviz.find(model, **wrong)
    with pytest.raises(attnviz.AttnvizError, match="A pair is written as"):
        attnviz.find(model, pairs=["it -> animal"])
    missed: list[str] = []
    attnviz.find(model, "it -> animal", [TEXT, "the dog"], fail=lambda place, error: missed.append(place))
    assert missed == ["text 2"]


def test_a_place_that_a_decoder_cannot_see_does_not_count(run: Run) -> None:
    one, two = "The dog barked because it was hungry", "The dog barked because it was hungry and the dog slept"
    found = [
        run("find", "it -> dog", text, "--model", "builtin/decoder", "--format", "json").records for text in (one, two)
    ]
    (before, after) = (
        {(head["layer"], head["head"]): head["weight"] for head in record["heads"]} for (record,) in found
    )
    assert after == pytest.approx(before, abs=1e-6)
    ahead = run("find", "dog -> hungry", one, "--model", "builtin/decoder")
    ahead.assert_failed(1, "a decoder does not look ahead")


def test_how_often_a_special_token_is_named_is_not_defined(run: Run) -> None:
    (record,) = run("find", "keys -> [SEP]", "Mary lost her keys", "--format", "json").records
    assert record["heads"][0]["weight"] > 0.9
    assert {head["accuracy"] for head in record["heads"]} == {None}
