from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

import attnviz
from attnviz.models import registry
from attnviz.models.loading import Loading
from attnviz.models.model import Model
from tests.cli.conftest import Run

TIRED, WIDE = (f"The animal didn't cross the street because it was too {word}" for word in ("tired", "wide"))


def records(*texts: str, model: str = "builtin") -> list[attnviz.Attention]:
    loaded = attnviz.load(model)
    return [attention for text in texts for attention in loaded.attend(text)]


def test_two_texts_have_the_divergence_of_each_head_best_first(run: Run) -> None:
    (record,) = run("compare", TIRED, WIDE, "--format", "json").records
    kept = [place for place in range(13) if place != 11]  # [CLS] The … too tired [SEP]
    rows = [one.weights[:, :, kept][..., kept].astype(float) for one in records(TIRED, WIDE)]
    rows = [one / one.sum(-1, keepdims=True) * 0.999 + 0.001 / len(kept) for one in rows]
    expected = (jensenshannon(*rows, axis=-1) ** 2).mean(-1)
    for head in record["heads"]:
        assert head["divergence"] == pytest.approx(expected[head["layer"], head["head"]], abs=1e-6)
    found = [head["divergence"] for head in record["heads"]]
    assert found == sorted(found, reverse=True) and len(found) == 24
    assert (record["model"], record["texts"]) == ("builtin/encoder", 1)
    left_out = ["left out of the first: tired", "left out of the second: wide"]
    assert record["notes"] == [*left_out, "rows rescaled to the tokens that both have"]
    assert "mean over rows" in record["definitions"]["divergence"]


def test_the_table_names_what_was_left_out_and_shows_signs_without_colour(run: Run) -> None:
    ran = run("compare", TIRED, WIDE, "--width", "100")
    assert (ran.code, ran.err) == (0, "")
    assert "left out of the first: tired" in ran.out and "left out of the second: wide" in ran.out
    assert "it → animal −0.96" in ran.out and "it → cross +0.96" in ran.out
    assert "\x1b" not in ran.out
    assert "+ is more, − is less" in ran.out
    coloured = run("compare", TIRED, WIDE, "--width", "100", "--color", "always", COLORTERM="truecolor").out
    assert "48;2;" in coloured


@pytest.mark.parametrize("width", [60, 80, 200])
def test_tables_fit_the_terminal(run: Run, width: int) -> None:
    ran = run("compare", TIRED, WIDE, "--width", str(width))
    assert max(map(len, ran.out.splitlines())) <= width


def test_saved_weights_of_two_kinds_are_to_be_saved_with_their_kind(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "full.npy", np.full((3, 3), 1 / 3))
    np.save(tmp_path / "causal.npy", np.tril(np.ones((3, 3))) / [[1], [2], [3]])
    ran = run("compare", tmp_path / "full.npy", tmp_path / "causal.npy")
    ran.assert_failed(
        1, "encoder attention", "decoder attention", "save weights with their kind (Attention.from_array)"
    )


def test_the_same_text_twice_does_not_differ(run: Run) -> None:
    assert "notes" not in run("compare", TIRED, TIRED, "--format", "json").records[0]
    rows = run("compare", TIRED, TIRED, "--format", "csv").rows()
    assert {float(row["divergence"]) for row in rows} == {0.0}
    for args in ((), ("--all",), ("--token", "it")):
        out = run("compare", TIRED, TIRED, *args).out
        assert "Nothing differs" in out and "left out" not in out and "L0 H0" not in out and "queries down" not in out
    texts = run("compare", "--model", "builtin", "--model", "builtin", stdin=f"{TIRED}\n{WIDE}".encode()).out
    assert "2 texts" in texts and "Nothing differs" in texts and "L0" not in texts


def test_two_models_of_other_shapes_are_compared_by_the_heads_that_least_differ(run: Run) -> None:
    (record,) = run(
        "compare", "Mary lost her keys", "--model", "builtin", "--model", "minilm", "--format", "json"
    ).records
    assert record["model"] == "builtin/encoder → minilm"
    partners = {(head["partner_layer"], head["partner_head"]) for head in record["heads"]}
    assert len(partners) == 24 and all(layer < 6 and head < 12 for layer, head in partners)
    assert not any("label" in head for head in record["heads"])


def test_partners_stand_in_columns_and_in_the_table(run: Run) -> None:
    models = "--model", "minilm", "--model", "builtin"
    rows = run("compare", "Mary lost her keys", *models, "--format", "csv").rows()
    assert list(rows[0])[:6] == ["kind", "layer", "head", "partner_layer", "partner_head", "divergence"]
    assert len([row for row in rows if row["partner_layer"] == row["partner_head"] == row["divergence"] == ""]) == 48
    ran = run("compare", "Mary lost her keys", *models)
    best = rows[0]
    assert "paired with" in ran.out
    assert (
        f"L{best['layer']} H{best['head']}" in ran.out
        and f"L{best['partner_layer']} H{best['partner_head']}" in ran.out
    )


def test_heads_of_the_same_number_have_no_columns_for_partners(run: Run) -> None:
    assert list(run("compare", TIRED, WIDE, "--format", "csv").rows()[0]) == [
        "kind", "layer", "head", "divergence", "divergence_n", "divergence_se",
    ]  # fmt: skip


def test_models_are_compared_over_many_texts_by_the_mean_in_any_order_with_any_number_of_jobs(
    run: Run, tmp_path: Path
) -> None:
    texts = ["The dog barked", "Mary lost her keys", "The street was too wide"] * 13
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    (tmp_path / "back.txt").write_text("\n".join(reversed(texts)))
    models = "--model", "builtin", "--model", "minilm", "--format", "json"
    ran = run("compare", "--file", tmp_path / "texts.txt", *models)
    (record,) = ran.records
    assert (ran.code, ran.err, record["texts"]) == (0, "", 39)
    assert all(head["divergence_n"] == 39 and head["divergence_se"] > 0 for head in record["heads"])
    assert run("compare", "--file", tmp_path / "back.txt", *models).stdout == ran.stdout
    assert run("compare", "--file", tmp_path / "texts.txt", *models, "--jobs", "7").stdout == ran.stdout
    layers = *models, "--layer", "1", "--head", "2"
    (record,) = run("compare", "--file", tmp_path / "texts.txt", *layers).records
    each = [run("compare", text, *layers).records[0]["heads"][0]["divergence"] for text in texts[:3]]
    assert record["heads"][0]["divergence"] == pytest.approx(np.mean(each), abs=1e-9)


def test_files_of_many_records_are_compared_in_their_order(run: Run, tmp_path: Path) -> None:
    for name, words in (("a", ("tired", "old", "slow")), ("b", ("wide", "long", "wet"))):
        texts = "\n".join(f"The animal was too {word}" for word in words)
        (tmp_path / f"{name}.jsonl").write_bytes(run("show", "--format", "json", stdin=texts.encode()).stdout)
    (record,) = run("compare", "a.jsonl", "b.jsonl", "--format", "json", cwd=tmp_path).records
    pairs = zip(("tired", "old", "slow"), ("wide", "long", "wet"), strict=True)
    tables = [
        attnviz.compare(*records(*(f"The animal was too {word}" for word in words))).table["divergence"]
        for words in pairs
    ]
    assert record["texts"] == 3
    for head in record["heads"]:
        expected = np.mean(tables, 0)[head["layer"], head["head"]]
        assert head["divergence"] == pytest.approx(expected, abs=1e-6)
    (tmp_path / "c.jsonl").write_bytes((tmp_path / "b.jsonl").read_bytes().split(b"\n")[0])
    run("compare", "a.jsonl", "c.jsonl", cwd=tmp_path).assert_failed(2, "c.jsonl holds 1, and a.jsonl more")


def test_a_text_of_many_that_cannot_be_read_is_named_and_the_others_go_on(run: Run) -> None:
    texts = b"The dog barked\n\xff\nMary lost her keys\n"
    ran = run("compare", "--model", "builtin", "--model", "minilm", "--format", "json", stdin=texts)
    assert (ran.code, ran.records[0]["texts"]) == (1, 2)
    assert "Error in line 2: The text is not valid UTF-8 at byte 1 (0xff)" in ran.err


def test_a_file_of_one_line_that_is_no_text_is_named_with_the_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9\n")
    ran = run("compare", "--file", "bad.txt", "--model", "builtin", "--model", "minilm", cwd=tmp_path)
    ran.assert_failed(1, "In line 1 of bad.txt: The text is not valid UTF-8 at byte 4")


def test_the_environment_has_one_model_even_with_blanks_in_its_name(run: Run, tmp_path: Path) -> None:
    run("compare", TIRED, WIDE, ATTNVIZ_MODEL="no model", cwd=tmp_path).assert_failed(1, "'no model' is neither")
    assert (
        run("compare", "a dog", "the dog", "--format", "json", ATTNVIZ_MODEL="minilm").records[0]["model"] == "minilm"
    )


def test_what_both_have_no_equal_of_is_said_to_be_in_one_of_them(run: Run) -> None:
    run("compare", TIRED, WIDE, "--token", "tired").assert_failed(1, "'tired' is only in the first of the two")
    run("compare", TIRED, WIDE, "--token", "wide").assert_failed(1, "'wide' is only in the second of the two")
    run("compare", TIRED, WIDE, "--rows", "it", "--token", "animal").assert_failed(1, "row is not kept", "--rows")


def test_rows_of_differences_are_named_for_their_measure_and_not_read_back(run: Run, tmp_path: Path) -> None:
    run("compare", TIRED, WIDE, "-o", "d.csv", cwd=tmp_path)
    run("compare", TIRED, WIDE, "-o", "d.json", cwd=tmp_path)
    header = (tmp_path / "d.csv").read_text().splitlines()[0]
    assert header.endswith("key,key_token,difference")
    assert run("show", "d.json", "--format", "csv", cwd=tmp_path).stdout == (tmp_path / "d.csv").read_bytes()
    run("show", "--file", "d.csv", cwd=tmp_path).assert_failed(
        1, "d.csv holds weights or numbers saved as CSV", ".json"
    )
    mixed = run("show", TIRED, "--format", "json").stdout + (tmp_path / "d.json").read_bytes()
    ran = run("show", "--format", "csv", stdin=mixed)
    ran.assert_failed(1, "another measure than those before")
    assert ran.out.splitlines()[0].endswith(",weight")


def test_what_only_one_of_two_models_has_is_left_out_with_a_note(run: Run) -> None:
    ran = run("compare", "The red car is fast", "--model", "builtin/translator", "--model", "builtin/encoder")
    assert ran.code == 0
    assert ran.err == (
        "Note: encoder attention is compared; decoder and cross attention is left out, since not both have it.\n"
    )


def test_words_are_compared_where_tokenizers_cut_them_in_other_ways(run: Run) -> None:
    models = "--model", "builtin", "--model", "minilm"
    text = "The unbelievable zebras"
    assert "left out of the second: unbelievable zebra s" in " ".join(run("compare", text, *models).out.split())
    assert "left out" not in run("compare", text, *models, "--by", "word").out


@pytest.mark.parametrize("form", ["json", "npz"])
def test_differences_are_saved_with_their_measure_and_read_back(run: Run, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"difference.{form}"
    assert run("compare", TIRED, WIDE, "-o", path).code == 0
    (result,) = attnviz.read(path)
    (difference,) = result.attention
    first, second = records(TIRED, WIDE)
    expected = attnviz.compare(first, second).difference
    assert type(difference) is attnviz.HeadMatrix
    assert (difference.measure, difference.kind, difference.notes) == ("difference", first.kind, expected.notes)
    np.testing.assert_array_equal(difference.weights, expected.weights)
    attnviz.save(tmp_path / f"again.{form}", result)
    assert (tmp_path / f"again.{form}").read_bytes() == path.read_bytes()


def test_json_has_the_measure_beside_the_kind(run: Run, tmp_path: Path) -> None:
    run("compare", TIRED, WIDE, "-o", tmp_path / "d.json")
    (record,) = run("show", tmp_path / "d.json", "--format", "json").records
    assert list(record["attention"][0])[:2] == ["kind", "measure"]
    assert "measure" not in run("show", TIRED, "--format", "json").records[0]["attention"][0]


@pytest.mark.parametrize(
    "args", [(), ("--by", "word"), ("--mean",), ("--token", "it"), ("--all", "--layer", "2"), ("--transpose",)]
)
def test_saved_differences_are_shown_in_every_way(run: Run, tmp_path: Path, args: tuple[str, ...]) -> None:
    run("compare", TIRED, WIDE, "-o", tmp_path / "d.npz")
    ran = run("show", tmp_path / "d.npz", *args, "--width", "120")
    assert (ran.code, ran.err) == (0, "")
    assert "−" in ran.out and "difference" in ran.out


@pytest.mark.parametrize("command", [("heads",), ("find", "it -> animal")])
def test_what_needs_weights_refuses_differences(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    run("compare", TIRED, WIDE, "-o", tmp_path / "d.npz")
    run(*command, tmp_path / "d.npz").assert_failed(1, "measure 'difference'", "only attention weights")
    run("show", tmp_path / "d.npz", "--no-special").assert_failed(1, "leave --no-special out")


@pytest.mark.parametrize(
    "args", [(), ("--layout", "layer", "--layer", "1"), ("--token", "it"), ("--log",), ("--cmap", "PuOr")]
)
def test_pictures_are_drawn_in_every_layout(run: Run, tmp_path: Path, args: tuple[str, ...]) -> None:
    ran = run("compare", TIRED, WIDE, *args, "-o", tmp_path / "d.png")
    assert (ran.code, ran.err) == (0, "")
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")


def test_saved_records_are_compared(run: Run, tmp_path: Path) -> None:
    for name, text in (("a", TIRED), ("b", WIDE)):
        run("export", text, "-o", tmp_path / f"{name}.npz")
    found = run("compare", tmp_path / "a.npz", tmp_path / "b.npz", "--format", "csv")
    assert found.stdout == run("compare", TIRED, WIDE, "--format", "csv").stdout


def test_python_gives_the_bytes_of_the_command(run: Run, tmp_path: Path) -> None:
    found = attnviz.compare(*records(TIRED, WIDE))
    for form in ("json", "csv", "tsv"):
        attnviz.save(tmp_path / f"table.{form}", found.table)
        assert (tmp_path / f"table.{form}").read_bytes() == run("compare", TIRED, WIDE, "--format", form).stdout
    for form in ("json", "csv", "npz"):
        attnviz.save(tmp_path / f"python.{form}", found.difference)
        run("compare", TIRED, WIDE, "-o", tmp_path / f"command.{form}")
        assert (tmp_path / f"python.{form}").read_bytes() == (tmp_path / f"command.{form}").read_bytes()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ((TIRED,), 2, "1 text was given: give 2, or 2 files of saved records, or a second --model."),
        ((), 2, "No text was given: give 2"),
        ((TIRED, WIDE, TIRED), 2, "More than 2 texts were given: give 2, or 2 files"),
        ((TIRED, WIDE, "--model", "builtin", "--model", "minilm"), 2, "Two texts and two models were given"),
        ((TIRED, *["--model", "builtin"] * 3), 2, "only two models can be compared"),
        ((TIRED, WIDE, TIRED, "--model", "builtin", "--model", "minilm", "--token", "it"), 2, "there are several"),
        ((TIRED, WIDE, TIRED, "--model", "builtin", "--model", "minilm", "-o", "x.png"), 2, "there are several"),
        ((TIRED, "--model", "builtin", "--model", "builtin/decoder"), 1, "only the same kind can be compared"),
        ((TIRED, WIDE, "--kind", "cross"), 2, "has no cross attention"),
        (("a dog", "my cat", "--no-added-tokens"), 1, "too few words in common"),
        ((TIRED, ""), 1, "In text 2: "),
        ((TIRED, WIDE, "-o", "folder"), 2, "let it end in .png"),
        ((TIRED, WIDE, "--token", "giraffe"), 1, "no token 'giraffe'"),
        ((TIRED, TIRED, "--token", "giraffe"), 1, "no token 'giraffe'"),
        ((TIRED, WIDE, "--jobs", "2"), 2, "--jobs has no effect for one comparison"),
        ((TIRED, "--model", "builtin", "--model", "minilm", "--jobs", "2"), 2, "or compare two models over many texts"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(run: Run, args: tuple[str, ...], code: int, said: str) -> None:
    run("compare", *args).assert_failed(code, said)


def test_several_records_of_a_kind_are_compared_each_with_its_own(run: Run, tmp_path: Path) -> None:
    (attention,) = records(TIRED)
    parts = [
        attention.select([0], [0, 1, 2]),
        attention.select([1], [0, 1, 2, 3, 4]),
    ]  # as of layers that differ in heads
    attnviz.save(tmp_path / "a.json", parts)
    found = run("compare", "a.json", "a.json", "--format", "json", cwd=tmp_path).records
    assert [{head["layer"] for head in record["heads"]} for record in found] == [{0}, {1}]
    assert not any(head["divergence"] for record in found for head in record["heads"])


def test_texts_that_share_no_word_are_not_compared_by_their_special_tokens(run: Run) -> None:
    run("compare", "The dog", "A cat").assert_failed(1, "too few words in common")


def test_no_more_texts_are_read_than_can_be_compared(run: Run) -> None:
    run("compare", stdin=b"a b\n" * 9).assert_failed(2, "More than 2 texts")


def test_the_links_that_differ_most_are_those_of_all_heads_and_each_pair_of_words_stands_once(run: Run) -> None:
    difference = attnviz.compare(*records(TIRED, WIDE)).difference
    names = [token.text for token in difference.key_tokens]
    _, _, after = run("compare", TIRED, WIDE).out.partition("Largest differences between words, of all heads\n")
    lines = [line.split() for line in after.split("\n\n")[0].splitlines()]
    numbers = []
    for query, _, key, written, layer, head in lines:
        each = difference.weights[..., names.index(query), names.index(key)]  # [layers, heads]
        numbers.append(each[int(layer[1:]), int(head[1:])])
        assert abs(numbers[-1]) == abs(each).max() and written.replace("−", "-") == f"{numbers[-1]:+.2f}"
    largest = abs(difference.weights).max((0, 1))[1:-1, 1:-1]  # between words, that is without [CLS] and [SEP]
    np.fill_diagonal(largest, 0)
    np.testing.assert_array_equal(np.abs(numbers), np.sort(largest, None)[::-1][:5])


def test_one_model_is_loaded_once_for_both_texts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load(name: str, loading: Loading) -> Model:
        loaded.append(name)
        return registry.load(name, loading)

    monkeypatch.setattr("attnviz.pipeline.job.load", load)
    for models in (["builtin"], ["builtin", "builtin"], ["builtin", "minilm"]):
        texts = [TIRED, WIDE] if len(models) == 1 else [TIRED]
        loaded.clear()
        assert run("compare", *texts, *(f"--model={name}" for name in models)).code == 0
        assert loaded == list(dict.fromkeys(models))


def test_what_is_undefined_is_not_said_to_be_the_same(run: Run, tmp_path: Path) -> None:
    first = attnviz.Attention.from_array([[1.0, 0, 0]] * 3, ["a", "b", "c"], kind=attnviz.Kind.ENCODER)
    second = attnviz.Attention.from_array([[0.2, 0.3, 0.5]] * 3, ["x", "b", "c"], kind=attnviz.Kind.ENCODER)
    for count in (1, 2):
        for name, record in (("a", first), ("b", second)):
            attnviz.save(tmp_path / f"{name}.json", record)
            (tmp_path / f"{name}.jsonl").write_bytes((tmp_path / f"{name}.json").read_bytes() * count)
        ran = run("compare", "a.jsonl", "b.jsonl", "--width", "100", cwd=tmp_path)
        assert "Nothing can be compared: no row of both has weight on the tokens that both have." in ran.out
        assert "Nothing differs" not in ran.out and ran.code == 0
        (head,) = run("compare", "a.jsonl", "b.jsonl", "--format", "json", cwd=tmp_path).records[0]["heads"]
        assert (head["divergence"], head["divergence_n"]) == (None, 0)


def test_over_many_texts_nothing_differs_where_the_divergence_is_0(run: Run) -> None:
    texts = run("compare", "--model", "builtin", "--model", "builtin", stdin=f"{TIRED}\n{WIDE}".encode()).out
    assert "Nothing differs: the divergence of every head is 0." in texts


def test_two_sides_of_which_one_needs_more_memory_are_not_grouped_in_other_ways(run: Run) -> None:
    texts = "\n".join("the dog " * count for count in (89, 97)).encode()
    ran = run("compare", "--memory", "26M", stdin=texts)
    ran.assert_failed(1, "In line 2: The weights of 24 heads for 196 queries", "--memory allows 26 MB: choose fewer")
    assert run("compare", "--memory", "26M", "--by", "bins:5", stdin=texts).code == 0
    models = "--model", "builtin", "--model", "minilm", "--memory", "2M"
    ran = run("compare", *models, stdin=texts)
    ran.assert_failed(1, "Error in line 1: The weights of", "Nothing was compared: every comparison failed.")
    assert "bins, the second" not in ran.err


def test_models_that_have_no_kind_in_common_are_refused_once(run: Run) -> None:
    texts = "\n".join([TIRED, WIDE, TIRED]).encode()
    ran = run("compare", "--model", "builtin", "--model", "builtin/decoder", stdin=texts)
    ran.assert_failed(1, "Error: builtin/encoder has encoder attention, but builtin/decoder has decoder attention")
    assert ran.err.count("\n") == 1


def test_differences_that_lack_room_leave_a_mark_and_those_that_round_to_nothing_are_not_named(run: Run) -> None:
    args = "compare", "The dog barked", "A dog barked", "--token", "dog"
    narrow, wide = (run(*args, COLUMNS=columns).out.splitlines() for columns in ("80", "200"))
    rows = {line[:5]: line for line in narrow if line.startswith("L")}
    assert rows["L0 H0"].split() == ["L0", "H0", "–", "–"]
    assert "[CLS] +.03 …" in rows["L1 H5"]
    (full,) = (line for line in wide if line.startswith("L1 H5"))
    assert "[CLS] +.03  [SEP] +.01" in full and "…" not in full
