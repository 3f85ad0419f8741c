import json
import re
from collections.abc import Iterator
from io import BufferedReader
from itertools import islice, product
from pathlib import Path
from typing import cast

import numpy as np
import pytest

import attnviz
from attnviz.pipeline.finding import open_pairs
from tests.cli.conftest import Run
from tests.pages import ROOT

TEXT = "The animal didn't cross the street because it was too tired"
PAIRS, TREEBANK = ROOT / "sample_inputs/coreference_pairs.tsv", ROOT / "sample_inputs/treebank.conllu"
LINES = ROOT / "sample_inputs/coreference.txt"
DROPPED = (
    "Note: 1 of the 73 words that depend on another is left out for builtin/encoder, where one of the two has no token "
    "of its own, or they are not read together.\n"
)


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
def test_any_number_of_processes_gives_the_same_bytes(run: Run, args: tuple[str, ...]) -> None:
    ran = [run("find", *args, "--jobs", jobs, "--format", "json") for jobs in "127"]
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
    assert (ran.code, ran.records[0]["texts"]) == (1, 1)
    assert [line.partition(":")[0] for line in ran.err.splitlines()] == [
        f"Error in line 3 of {path}",
        f"Error in line 5 of {path}",
        "Note",
    ]
    assert f"Note: 1 of the texts lacks the link asked for, and is left out: line 4 of {path}.\n" in ran.err


def test_a_malformed_line_of_a_treebank_is_reported_and_the_other_sentences_go_on(run: Run, tmp_path: Path) -> None:
    path, lines = tmp_path / "bad.conllu", TREEBANK.read_text().splitlines()
    lines[3] = lines[3].replace("\t", " ")
    path.write_text("\n".join(lines) + "\n")
    ran = run("find", "--relations", path, "--format", "json")
    ran.assert_failed(1, f"line 4 of {path}: This line has 1 column: CoNLL-U has 10")
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
    assert (ran.code, ran.err) == (0, DROPPED if "--relations" in args else "")
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


def test_a_note_is_a_warning_where_python_asked() -> None:
    model, text = attnviz.load("minilm"), "[CLS] Mary lost her keys"
    with pytest.warns(UserWarning, match="stands twice") as warned:
        attnviz.find(model, "her -> Mary", text)
        attnviz.heads(model, text, "same")
    assert [one.filename for one in warned] == [__file__] * 2


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


def test_what_is_searched_for_stands_above_the_table_and_in_the_data(run: Run) -> None:
    asked = {
        "it → animal": ("it -> animal", TEXT),
        f"pairs of {PAIRS}": ("--pairs", PAIRS),
        f"relations of {TREEBANK}": ("--relations", TREEBANK),
    }
    for name, args in asked.items():
        assert run("find", *args, "--format", "json").records[0]["asked"] == name
        assert run("find", *args, "--width", "200").out.splitlines()[2].startswith(f"{name}: L")


def test_the_first_lines_say_which_head_it_is_and_how_often_it_is_right(run: Run) -> None:
    def say(*args: str) -> str:
        """The first line, which names files as they were given: by short names, it fits wherever the tree stands."""
        return run("find", *args, "--width", "200", cwd=ROOT / "sample_inputs").out.splitlines()[2]

    told = "L2 H1 looks most at the right word in 83% of places, on average over 24 texts"
    pairs = say("--pairs", PAIRS.name)
    assert pairs == f"pairs of {PAIRS.name}: {told}; the best fixed distance hits it in 50%"
    link = say("it -> animal", "--file", LINES.name)
    assert link == "it → animal: L2 H1 gives this link the most weight, 0.936 on average over 2 texts"
    assert say("--relations", TREEBANK.name) == (
        f"relations of {TREEBANK.name}: L2 H5 follows them best, in 54% of 72 words; the best fixed distance in 42%. "
        "On texts that neither was chosen on: 53%, the fixed distance 39%"
    )


@pytest.mark.parametrize(("option", "path"), [("--pairs", PAIRS), ("--relations", TREEBANK)])
def test_a_dash_is_standard_input(run: Run, option: str, path: Path) -> None:
    piped = run("find", option, "-", "--format", "csv", stdin=path.read_bytes())
    assert piped.code == 0
    assert piped.stdout == run("find", option, path, "--format", "csv").stdout
    wrong = run("find", option, "-", stdin=b"only\n")
    assert wrong.code == 1 and wrong.err.startswith("Error: Standard input looks like another kind of file. Line 1: Th")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_is_wrong_with_lines_is_said_in_their_order_and_the_others_go_on(
    run: Run, tmp_path: Path, jobs: str
) -> None:
    good, (path, others) = b"Mary lost her keys\ther\tMary\n", (tmp_path / "pairs.tsv", 40)
    long, bytes_ = b"Mary " * 999 + b"\tMary\tlost\n", b"Mary lost h\xffr keys\ther\tMary\n"
    path.write_bytes(good + long + good + bytes_ + good * others + long + b"one\n" + good + bytes_)
    ran = run("find", "--pairs", path, "--jobs", jobs, "--format", "json")
    found = [line.split(" of ")[0].removeprefix("Error in line ") for line in ran.err.splitlines()]
    assert found == ["2", "4", "45", "46", "48"]
    assert ran.err.count("is not valid UTF-8") == 2
    assert (ran.code, ran.records[0]["texts"]) == (1, others + 3)


def test_a_sentence_with_bytes_that_are_no_utf8_is_left_out(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.conllu"
    path.write_bytes(TREEBANK.read_bytes().replace(b"chased", b"ch\xe2sed", 1))
    ran = run("find", "--relations", path, "--format", "json")
    ran.assert_failed(1, f"line 2 of {path}: The line is not valid UTF-8: it has the byte 0xe2")
    assert ran.records[0]["texts"] == 11


def test_words_without_tokens_of_their_own_are_counted_in_one_note(run: Run) -> None:
    ran = run("find", "--relations", TREEBANK, "--format", "json")
    assert ran.err == DROPPED
    assert (ran.records[0]["left_out"], ran.records[0]["relations"][0]["count"]) == (1, 72)


def test_where_no_text_has_its_pair_it_fails_with_what_is_wrong_with_the_first(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "My Pairs.tsv"
    path.write_text(f"{TEXT}\tit\tgiraffe\n{TEXT}\tgiraffe\tit\n")
    ran = run("find", "--pairs", path)
    ran.assert_failed(1, "None of the texts", f"Line 1 of {path}: There is no token 'giraffe'")
    with pytest.raises(attnviz.AttnvizError, match=r"^Line 1 of .*/My Pairs.tsv: There is no token 'giraffe'"):
        attnviz.find(attnviz.load("builtin"), pairs=path)


@pytest.mark.parametrize("width", [60, 79, 80])
def test_the_legend_explains_the_columns_that_are_shown(run: Run, width: int) -> None:
    out = run("find", "--relations", TREEBANK, "--width", str(width)).out
    assert ("held out" in out) == ("held_out:" in out) == (width >= 80)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_head_and_the_accuracy_of_a_relation_are_whole_at_every_width(run: Run, width: int) -> None:
    lines = run("find", "--relations", TREEBANK, "--width", str(width)).out.splitlines()
    names, *rows = lines[next(place for place, line in enumerate(lines) if line.startswith("relation ")) :]
    assert names.split()[:2] == ["relation", "head"]
    assert "accuracy" in names
    assert "…" not in names
    assert re.search(r"L\d H\d.* 0\.\d{3}( |$)", rows[0])


FAR = "The animal " + "walked and " * 40 + "it was tired"


def test_words_that_no_window_holds_together_are_no_link(run: Run) -> None:
    windows = "--window", "16:8"
    run("find", "it -> animal", FAR, *windows).assert_failed(
        1, "No window holds both words", "larger ones with --window"
    )
    ran = run("find", "it -> animal", FAR, TEXT, *windows, "--format", "json")
    assert (ran.code, ran.records[0]["texts"]) == (0, 1)
    assert ran.err == (
        "Note: 1 of the texts lacks the link it → animal, and is left out. In 1 of them no window holds both words.\n"
    )


@pytest.mark.parametrize("model", ["builtin", "builtin/decoder"])
def test_saved_weights_know_which_words_no_window_held_together(run: Run, tmp_path: Path, model: str) -> None:
    options = "--model", model, "--window", "16:8"
    near = FAR.replace("The animal", "It barked and the animal")
    assert run("export", FAR, near, *options, "--format", "npz", "-o", tmp_path / "out").code == 0
    far, both = sorted((tmp_path / "out").glob("*.npz"))
    run("find", "it -> animal", far).assert_failed(1, "In 1 of them no window holds both words")
    (again,), (fresh,) = (
        run("find", "barked -> It", *given, "--format", "json").records for given in ([both], [near, *options])
    )
    assert again == fresh and again["heads"]


def test_a_place_that_no_window_holds_beside_the_word_does_not_count(run: Run) -> None:
    """The animal at the beginning is of no other window than "it": the weight is that of the other place alone."""
    text = "The animal " + "walked and " * 40 + "the animal slept because it was tired"
    (record,) = run("find", "it -> animal", text, "--window", "16:8", "--format", "json").records
    saved = run("show", text, "--window", "16:8", "--format", "json").records[0]["attention"][0]
    names = saved["query_tokens"]
    late = len(names) - 1 - names[::-1].index("animal")
    for head in record["heads"]:
        weight = saved["weights"][head["layer"]][head["head"]][names.index("it")][late]
        assert head["weight"] == pytest.approx(weight, abs=1e-6)


@pytest.mark.parametrize(
    ("link", "kind", "said"),
    [
        ("giraffe -> car", None, "no token 'giraffe' in this text"),
        ("la -> voiture", "cross", "no token 'voiture'"),
        ("la -> voiture", "cross", "Cross-attention links a word of the target to one of the text."),
        ("car -> la", None, "There is no link car → la here: encoder attention links words of the text, "),
        ("la -> voiture", "decoder", "here: decoder attention links a word of the target to an earlier one."),
        ("car -> red", "decoder", "Decoder attention links a word of the target to an earlier one."),
        ("la -> car", "encoder", "Encoder attention links words of the text."),
    ],
)
def test_an_encoder_decoder_says_what_each_kind_of_attention_links(
    run: Run, link: str, kind: str | None, said: str
) -> None:
    asked = "find", link, "The red car is fast", "--model", "builtin/translator"
    run(*asked, *(("--kind", kind) if kind else ())).assert_failed(1, said)


def test_for_one_text_the_first_line_says_whether_the_right_word_is_looked_at(run: Run, tmp_path: Path) -> None:
    def find(*pair: str, layer: str) -> str:
        (tmp_path / "one.tsv").write_text("\t".join(pair))
        asked = "find", "--pairs", "one.tsv", "--layer", layer, "--width", "200"
        return run(*asked, cwd=tmp_path).out.splitlines()[2]

    said = find(TEXT, "it", "animal", layer="0-3")
    assert re.fullmatch(r".*: L\d H\d looks most at the right word; the best fixed distance misses it", said)
    said = find("the dog and a dog slept", "dog", "slept", layer="0")
    assert "% of places" in said or "no head looks" in said


def test_a_treebank_of_which_all_words_are_left_out_says_so(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "all.conllu"
    path.write_text("1\tdid\t_\t_\t_\t_\t0\troot\t_\tSpaceAfter=No\n2\tn't\t_\t_\t_\t_\t1\tadvmod\t_\t_\n")
    ran = run("find", "--relations", path)
    assert (ran.code, ran.out) == (1, "")
    assert "Note: 1 of the 1 words that depend on another is left out for builtin/encoder" in ran.err
    assert "Error: Nothing was found: none of the texts has the words." in ran.err


def test_where_there_is_no_text_it_does_not_say_that_none_has_the_words(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for asked in (("it -> animal", "--file"), ("--pairs",), ("--relations",)):
        ran = run("find", *asked, "empty", cwd=tmp_path)
        assert (ran.code, ran.err) == (1, "Error: Nothing was found: there was no text.\n")


def test_where_nothing_is_found_it_says_whether_any_text_could_be_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    path.write_bytes(b"an empty column\tit\t\nonly one column\n")
    run("find", "--pairs", path).assert_failed(1, "Nothing was found: no text could be read.")


NOT_UTF8 = "The line is not valid UTF-8: it has the byte 0x{}. Save it as UTF-8 and try again."


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize(
    ("option", "path", "said"),
    [
        ("--pairs", TREEBANK, "The line has 1 column: give a text and two words, with tabs between."),
        ("--pairs", LINES, "The line has 1 column: give a text and two words, with tabs between."),
        ("--relations", PAIRS, "This line has 3 columns: CoNLL-U has 10, with tabs between."),
        ("--relations", LINES, "This line has 1 column: CoNLL-U has 10, with tabs between."),
        *product(["--pairs", "--relations"], [ROOT / ".github" / "grid.png"], [NOT_UTF8.format("89")]),
    ],
)
def test_a_file_of_another_kind_is_said_to_be_one_once(
    run: Run, option: str, path: Path, said: str, piped: bool
) -> None:
    ran = run("find", option, "-" if piped else path, stdin=path.read_bytes() if piped else b"")
    name = "Standard input" if piped else path
    assert (ran.code, ran.err) == (1, f"Error: {name} looks like another kind of file. Line 1: {said}\n")


@pytest.mark.parametrize("before", [(), (b"one column\n",) * 3])
def test_pairs_are_asked_as_soon_as_a_line_is_well_formed(before: tuple[bytes, ...]) -> None:
    def write() -> Iterator[bytes]:
        yield from (*before, f"{TEXT}\tit\tanimal\n".encode())
        pytest.fail("what comes later is read ahead")

    found = open_pairs(Path("-"), cast(BufferedReader, write()))
    assert [source.place for source in islice(found, len(before) + 1)][-1] == f"line {len(before) + 1}"


@pytest.mark.parametrize(
    "lines",
    [
        ["one column"] * 5 + [f"{TEXT}\tit\tanimal"],
        ["one column"] * 5 + ["an empty one\t\tit"],
        ["text\tfrom\tto"] + ["one column"] * 5,
    ],
)
def test_lines_of_a_file_of_this_kind_are_reported_one_by_one(run: Run, tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "pairs.tsv").write_text("\n".join(lines))
    said = run("find", "--pairs", "pairs.tsv", cwd=tmp_path).err.splitlines()
    wrong = [number for number, line in enumerate(lines, 1) if line == "one column"]
    assert [line.partition(":")[0] for line in said[:5]] == [f"Error in line {n} of pairs.tsv" for n in wrong]


def test_a_slip_in_the_only_sentence_of_a_treebank_is_reported_as_one(run: Run, tmp_path: Path) -> None:
    rows = ["1\tMary\t_\t_\t_\t_\t2\tnsubj\t_\t_", "2\tslept\t_\t_\t_\t_\t0 root\t_\t_"]
    (tmp_path / "one.conllu").write_text("\n".join(rows))
    said = run("find", "--relations", "one.conllu", cwd=tmp_path).err.splitlines()
    assert said[0] == "Error in line 2 of one.conllu: This line has 9 columns: CoNLL-U has 10, with tabs between."
