import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

import attnviz
from attnviz.measures.circuits import CIRCUITS
from attnviz.measures.probes import PROBES
from attnviz.measures.statistics import STATISTICS, Statistic
from tests.cli.conftest import Run

TEXTS = "The dog barked because it was hungry", "Mary lost her keys", "An old man saw the boat"


def entropy(text: str, model: str = "builtin") -> np.ndarray:
    """Clark's entropy of each head of a text, [layers, heads], from the weights themselves."""
    (attention,) = attnviz.load(model).attend(text)
    weights = attention.weights.astype(float)
    return scipy.stats.entropy(0.9999 * weights + 0.0001 / weights.shape[-1], axis=-1).mean(-1)


def by_head(record: dict, name: str) -> np.ndarray:
    return np.array([head[name] for head in record["heads"]]).reshape(4, 6)


def test_a_number_is_the_mean_of_those_of_the_texts_with_its_standard_error(run: Run) -> None:
    (record,) = run("heads", *TEXTS, "--stat", "entropy", "--format", "json").records
    expected = np.array([entropy(text) for text in TEXTS])
    assert (record["model"], record["kind"], record["texts"]) == ("builtin/encoder", "encoder", 3)
    np.testing.assert_allclose(by_head(record, "entropy"), expected.mean(0), atol=1e-6)
    np.testing.assert_allclose(by_head(record, "entropy_se"), expected.std(0, ddof=1) / 3**0.5, atol=1e-6)
    assert (by_head(record, "entropy_n") == 3).all()
    assert "Clark et al. 2019" in record["definitions"]["entropy"]
    assert [(head["layer"], head["head"]) for head in record["heads"]] == list(product(range(4), range(6)))


def test_any_number_of_processes_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(TEXTS * 7))
    ran = [run("heads", "--file", tmp_path / "lines.txt", "--jobs", jobs, "--format", "json") for jobs in "127"]
    assert [each.code for each in ran] == [0, 0, 0]
    assert ran[0].stdout == ran[1].stdout == ran[2].stdout != b""


def test_saved_weights_have_the_numbers_of_the_texts_that_they_are_of(run: Run, tmp_path: Path) -> None:
    (tmp_path / "saved.jsonl").write_bytes(run("show", *TEXTS, "--format", "json").stdout)
    assert (
        run("heads", tmp_path / "saved.jsonl", "--format", "csv").stdout
        == run("heads", *TEXTS, "--format", "csv").stdout
    )


def test_rows_have_the_kind_the_layer_the_head_and_the_numbers(run: Run) -> None:
    ran = run(
        "heads", TEXTS[0], "--stat", "next", "--stat", "entropy", "--layer", "2,1", "--head", "5", "--format", "tsv"
    )
    header, *rows = ran.out.splitlines()
    assert header.split("\t") == [
        "kind",
        "layer",
        "head",
        "next",
        "next_n",
        "next_se",
        "entropy",
        "entropy_n",
        "entropy_se",
    ]
    assert [row.split("\t")[:3] for row in rows] == [["encoder", "1", "5"], ["encoder", "2", "5"]]
    assert {row.split("\t")[5] for row in rows} == {""}  # of one text there is no standard error


def test_what_is_undefined_is_null_and_empty(run: Run) -> None:
    asked = "heads", "the dog", "--model", "builtin/translator", "--kind", "cross", "--stat", "previous"
    (record,) = run(*asked, "--format", "json").records
    assert {(head["previous"], head["previous_n"]) for head in record["heads"]} == {(None, 0)}
    assert all(row["previous"] == "" for row in run(*asked, "--format", "csv").rows())
    assert "–" in run(*asked, "--all").out
    assert "previous  undefined" in run(*asked).out


def test_models_and_kinds_among_saved_weights_have_a_line_each(run: Run, tmp_path: Path) -> None:
    lines = run("show", "the dog", "--model", "builtin/translator", "--format", "json").stdout
    (tmp_path / "both.jsonl").write_bytes(lines + run("show", "the dog", "--format", "json").stdout)
    records = run("heads", tmp_path / "both.jsonl", "--format", "json").records
    assert [(each["model"], each["kind"]) for each in records] == [
        ("builtin/encoder", "encoder"),
        ("builtin/translator", "encoder"),
        ("builtin/translator", "decoder"),
        ("builtin/translator", "cross"),
    ]


def test_a_text_that_fails_is_reported_and_the_others_are_counted(run: Run) -> None:
    ran = run("heads", "--format", "json", stdin=b"the cat sat\n\xff\xfe\nthe dog\n")
    assert ran.code == 1
    assert "line 2" in ran.err
    assert ran.records[0]["texts"] == 2


def test_where_no_text_can_be_read_there_are_no_numbers(run: Run) -> None:
    run("heads", stdin=b"\xff\n\xfe\n").assert_failed(1, "no text could be read")


def test_an_unknown_statistic_is_refused_with_those_that_there_are(run: Run) -> None:
    run("heads", "the dog", "--stat", "sharpness").assert_failed(2, "sharpness", "entropy")


@pytest.mark.parametrize("name", STATISTICS)
def test_each_statistic_can_be_asked_for_and_stands_in_the_help(run: Run, name: str) -> None:
    (record,) = run("heads", TEXTS[0], "--stat", name, "--format", "json").records
    assert list(record["definitions"]) == [name]
    assert name in run("heads", "--help").out


def test_a_statistic_of_ones_own_can_be_asked_for_like_any_other(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Statistic("mean of the largest weight", "mine", lambda rows: rows.weights.max(-1))
    monkeypatch.setitem(STATISTICS, "largest", mine)
    (record,) = run("heads", *TEXTS, "--stat", "largest", "--jobs", "1", "--format", "json").records
    found = [attention for text in TEXTS for attention in attnviz.load("builtin").attend(text)]
    expected = np.mean([attention.weights.max(-1).mean(-1) for attention in found], 0)
    np.testing.assert_allclose(by_head(record, "largest"), expected, atol=1e-6)
    assert record["definitions"] == {"largest": "mean of the largest weight (mine)"}
    run("heads", TEXTS[0], "--stat", "sharpness").assert_failed(2, "variability, largest")
    monkeypatch.delitem(sys.modules, "attnviz.cli.heads")  # whose options are made when a command is first called
    assert "variability, largest" in " ".join(run("heads", "--help").out.split())


@pytest.mark.parametrize("width", [60, 80, 200])
def test_tables_fit_the_terminal(run: Run, width: int) -> None:
    for args in ((), ("--all",), ("--sort", "next", "--top", "7"), ("--stat", "next")):
        ran = run("heads", TEXTS[0], "--width", str(width), *args)
        assert (ran.code, ran.err) == (0, "")
        assert max(map(len, ran.out.splitlines())) <= width


def test_each_number_names_its_highest_heads(run: Run) -> None:
    ran = run("heads", TEXTS[0], "--stat", "next", "--top", "3")
    (attention,) = attnviz.load("builtin").attend(TEXTS[0])
    (table,) = attnviz.statistics(attention, "next")
    said = "  ".join(f"L{layer} H{head} {number:.3f}" for layer, head, number in table.highest("next", 3))
    assert f"\nnext  {said}\n" in ran.out
    assert "next: mean weight of the key after the query" in ran.out


def test_every_head_has_a_line_with_all_its_numbers_and_its_label(run: Run) -> None:
    lines = run("heads", TEXTS[0], "--all", "--width", "200").out.splitlines()
    rows = [line.split() for line in lines if line.startswith("L")]
    assert [row[:2] for row in rows] == [[f"L{layer}", f"H{head}"] for layer in range(4) for head in range(6)]
    (record,) = run("heads", TEXTS[0], "--format", "json").records
    for row, head in zip(rows, record["heads"], strict=True):
        assert float(row[2]) == pytest.approx(head["entropy"], abs=6e-4)
        assert row[2 + len(STATISTICS) :] == ([head["label"]] if head["label"] else [])


def test_a_label_goes_by_the_number_that_stands_beside_it(run: Run) -> None:
    (record,) = run("heads", TEXTS[0], "--format", "json").records
    nexts = [head["label"] for head in record["heads"] if head["next"] > 0.5]
    assert nexts and set(nexts) == {"next"}
    assert all(head["normalized_entropy"] > 0.8 for head in record["heads"] if head["label"] == "broad")
    for head in record["heads"]:
        if head["label"]:
            name, _, least = head["label_rule"].split()
            assert head["label_number"] == head[name] >= float(least)
        else:
            assert head["label_rule"] is head["label_number"] is None


def test_a_label_is_the_same_or_not_there_whatever_was_asked_for(run: Run) -> None:
    (record,) = run("heads", TEXTS[0], "--stat", "next", "--format", "json").records
    assert all("label" not in head for head in record["heads"])


def test_a_probe_reads_no_text_and_finds_the_heads_of_the_decoder_that_find_what_comes_again(run: Run) -> None:
    asked = "heads", "--model", "builtin/decoder", "--probe", "induction", "--format", "json"
    (record,) = run(*asked, stdin=b"these lines\nare not read\n").records
    found = {(head["layer"], head["head"]): head["induction"] for head in record["heads"]}
    assert record["texts"] == 10 and {head["induction_n"] for head in record["heads"]} == {10}
    assert found[1, 2] == pytest.approx(found[1, 3], abs=0.01)
    assert min(found[1, 2], found[1, 3]) > 0.9 > max(found[0, head] for head in range(4))
    assert {head["label"] for head in record["heads"] if head["induction"] > 0.5} == {"induction"}
    assert "seeds 0 to 9" in record["definitions"]["induction"]
    assert run(*asked).records == [record]
    assert run(*asked, "--seed", "3").records != [record]


def test_a_probe_stands_beside_the_numbers_of_texts(run: Run) -> None:
    asked = *TEXTS, "--model", "builtin/decoder", "--stat", "next", "--probe", "induction", "--format", "csv"
    rows = run("heads", *asked).rows()
    assert {(row["next_n"], row["induction_n"]) for row in rows} == {("3", "10")}


def test_copying_is_told_of_the_weights_alone(run: Run) -> None:
    (record,) = run("heads", "--stat", "ov_copying", "--format", "json", stdin=b"unread\n").records
    assert record["texts"] == 0
    assert all(-1 <= head["ov_copying"] <= 1 for head in record["heads"])
    run("heads", "the dog", "--stat", "ov_copying").assert_failed(2, "reads no text")
    run("heads", "--stat", "ov_copying", "--model", "builtin/bahdanau").assert_failed(2, "Cross-attention")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--probe", "induction", "--model", "builtin/translator", "--kind", "cross"), "Cross-attention"),
        (("--probe", "induction", "--tokens", "4000"), "reads at most"),
        (("--probe", "induction", "--tokens", "1"), "2"),
        (("--probe", "deduction"), "prefix_matching"),
        (("--probe", "next"), "give --stat next"),
        (("--stat", "induction"), "give --probe induction"),
        (("the dog", "--tokens", "7"), "add --probe induction"),
        (("the dog", "--each", "--probe", "induction"), "leave --each out"),
        (("the dog", "--sort", "induction"), "add --probe induction"),
    ],
)
def test_probes_that_cannot_be_run_are_refused_with_a_sentence(run: Run, args: tuple[str, ...], said: str) -> None:
    run("heads", *args).assert_failed(2, said)


def test_each_text_can_have_numbers_of_its_own_in_order_with_any_number_of_processes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(TEXTS * 14))
    asked = "heads", "--file", tmp_path / "lines.txt", "--each", "--stat", "previous", "--format"
    ran = [run(*asked, "json", "--jobs", jobs) for jobs in "13"]
    assert ran[0].stdout == ran[1].stdout != b""
    assert [(each["text_index"], each["text"]) for each in ran[0].records] == list(enumerate(TEXTS * 14))
    (alone,) = run("heads", TEXTS[1], "--stat", "previous", "--format", "json").records
    np.testing.assert_allclose(by_head(ran[0].records[1], "previous"), by_head(alone, "previous"), atol=1e-6)
    rows = run(*asked, "csv").rows()
    assert [row["text_index"] for row in rows] == [str(i) for i in range(42) for _ in range(24)]


def test_rows_of_several_models_end_with_the_model(run: Run, tmp_path: Path) -> None:
    lines = run("show", "the dog", "--model", "builtin/decoder", "--format", "json").stdout
    (tmp_path / "both.jsonl").write_bytes(lines + run("show", "the dog", "--format", "json").stdout)
    rows = run("heads", tmp_path / "both.jsonl", "--stat", "same", "--format", "csv").rows()
    assert list(rows[0]) == ["kind", "layer", "head", "same", "same_n", "same_se", "model", "by"]
    assert {row["model"] for row in rows} == {"builtin/encoder", "builtin/decoder"}


def test_a_part_of_a_text_is_refused_and_the_others_are_counted(run: Run, tmp_path: Path) -> None:
    saved = [
        run("show", TEXTS[0], *args, "--format", "json").stdout for args in (("--rows", "2"), ("--no-special",), ())
    ]
    (tmp_path / "saved.jsonl").write_bytes(b"".join(saved))
    ran = run("heads", tmp_path / "saved.jsonl", "--format", "json")
    assert ran.code == 1
    assert [record["texts"] for record in ran.records] == [1]
    assert ran.err.count("a part of a text") == 2


def test_of_an_empty_file_it_says_as_show_does_that_there_was_no_text(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    for command in ("show", "heads"):
        ran = run(command, "--file", tmp_path / "empty.txt")
        assert (ran.code, ran.out, ran.err) == (0, "", "Note: no text was read.\n")


def test_where_there_was_no_text_numbers_that_need_none_are_given_all_the_same(run: Run) -> None:
    probed = "heads", "--model", "builtin/decoder", "--probe", "induction", "--format", "json"
    ran = run(*probed, "--stat", "next", stdin=b"\n")
    assert (ran.code, ran.err) == (0, "Note: no text was read.\n")
    assert ran.records == run(*probed).records


def test_what_tokens_are_grouped_by_stands_above_the_numbers(run: Run, tmp_path: Path) -> None:
    (tmp_path / "words.jsonl").write_bytes(run("show", TEXTS[0], "--by", "word", "--format", "json").stdout)
    assert "builtin/encoder · encoder · 1 text · between words" in run("heads", tmp_path / "words.jsonl").out


def test_the_list_says_of_each_number_what_it_is_and_all_of_those_named(run: Run) -> None:
    ran = run("heads", "--list", "--width", "200")
    said = " ".join(ran.out.split())
    assert all(f"{name} {each.definition}" in said for name, each in (STATISTICS | PROBES | CIRCUITS).items())
    assert STATISTICS["sink"].source not in ran.out
    named = run("heads", "--list", "sink", "--width", "200").out
    sink = STATISTICS["sink"]
    assert all(fact in named for fact in (sink.definition, sink.formula, sink.source, sink.extent, sink.high))
    assert "entropy" not in named
    tables = [part.splitlines() for part in ran.out.strip().split("\n\n")]
    assert [title.split()[-1] for title, *_ in tables] == ["(--stat)", "(--stat)", "(--probe)"]
    listed = [[row.split()[0] for row in rows if not row.startswith(" ")] for _, *rows in tables]
    assert listed == [[*STATISTICS], [*CIRCUITS], [*PROBES]]
    run("heads", "--list", "sharpness").assert_failed(2, "no number 'sharpness'", "entropy", "ov_copying", "induction")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--all", "--format", "csv"), "--all has no effect with --format csv"),
        (("--sort", "next", "--format", "json"), "--sort has no effect with --format json"),
        (("--all", "--top", "3"), "--top has no effect with --all"),
        (("--sort", "next", "--stat", "entropy"), "add --stat next"),
        (("--list", "--format", "json"), "leave --format out"),
    ],
)
def test_what_would_have_no_effect_is_refused(run: Run, args: tuple[str, ...], said: str) -> None:
    run("heads", "the dog", *args).assert_failed(2, said)


@pytest.mark.parametrize("width", [20, 24, 30])
def test_in_a_narrow_width_no_head_is_parted_from_its_number(run: Run, width: int) -> None:
    lines = run("heads", TEXTS[0], "--width", str(width)).out.splitlines()
    ranked = lines[lines.index("entropy") + 1 : lines.index("normalized_entropy")]
    layers, heads, numbers = zip(*(cell.split() for line in ranked for cell in line.strip().split("  ")), strict=True)
    assert [place[0] for place in (*layers, *heads)] == ["L"] * 4 + ["H"] * 4
    assert [len(number) for number in numbers] == [len("0.000")] * 4
    assert all(len(line) <= width for line in lines)


def test_json_is_one_object_a_line(run: Run) -> None:
    assert all(json.loads(line) for line in run("heads", TEXTS[0], "--format", "json").stdout.splitlines())


def test_no_text_is_lost_where_there_is_a_note_on_one(run: Run, tmp_path: Path) -> None:
    lines = ["Mary lost her keys", "The dog barked", "[CLS] Mary slept", "A cat slept"] * 17
    (tmp_path / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    asked = (
        "heads",
        "--model",
        "minilm",
        "--file",
        tmp_path / "lines.txt",
        "--each",
        "--stat",
        "next",
        "--format",
        "json",
    )
    for jobs in ("1", "3"):
        done = run(*asked, "--layer", "0", "--head", "0", "--jobs", jobs)
        assert [record["text_index"] for record in done.records] == list(range(len(lines)))
        assert "[CLS] stands twice" in done.err


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((), "broad (normalized_entropy > 0.8)  L0 H2 0.921  L0 H0 0.921"),
        (("--stat", "previous"), "previous (previous > 0.5)  L3 H5 0.914  L2 H2 0.695"),
        (("--model", "builtin/decoder", "--probe", "induction"), "induction (induction > 0.5)  L1 H3 0.980"),
        (("--probe", "induction"), "induction (induction > 0.5)  no head"),
    ],
)
def test_what_heads_do_stands_first_whatever_was_asked_for(run: Run, numbers: tuple[str, ...], said: str) -> None:
    text = () if "--probe" in numbers else ("The animal didn't cross the street because it was too tired",)
    lines = run("heads", *text, *numbers).out.splitlines()
    assert lines[2] == "What these heads do, judged by a number"
    assert lines[3].startswith(said)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_rows_of_saved_records_one_by_one_say_of_which_model_they_are(
    run: Run, tmp_path: Path, order: tuple[int, int]
) -> None:
    models, files = ("builtin/encoder", "builtin/decoder"), [tmp_path / f"{index}.json" for index in order]
    for index, file in zip(order, files, strict=True):
        file.write_bytes(run("show", "the dog", "--model", models[index], "--format", "json").stdout)
    rows = run("heads", *files, "--each", "--stat", "same", "--format", "csv").rows()
    assert [*rows[0]][-2:] == ["model", "by"]
    assert list(dict.fromkeys((row["text_index"], row["model"]) for row in rows)) == [
        (str(place), models[index]) for place, index in enumerate(order)
    ]
    plain = run("heads", "a dog", "a cat", "--each", "--stat", "same", "--format", "csv").rows()
    assert [*plain[0]] == ["text_index", "kind", "layer", "head", "same", "same_n", "same_se"]
    mixed = run("heads", "a dog", tmp_path / "1.json", "--each", "--stat", "same", "--format", "csv")
    mixed.assert_failed(2, "1.json may be of another model: choose --format json, or give saved records first.")
    assert mixed.out == ""
    lines = b"a dog\n" * 32 + (tmp_path / "1.json").read_bytes()  # what stands in a stream is known when it comes
    piped = run("heads", "--each", "--stat", "same", "--format", "csv", stdin=lines)
    piped.assert_failed(2, "are of builtin/encoder and have no model column, but these are of builtin/decoder: choose")
