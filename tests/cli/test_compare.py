from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

import attnviz
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


def test_the_same_text_twice_does_not_differ(run: Run) -> None:
    rows = run("compare", TIRED, TIRED, "--format", "csv").rows()
    assert {float(row["divergence"]) for row in rows} == {0.0}
    assert "left out" not in run("compare", TIRED, TIRED).out


def test_two_models_of_other_shapes_are_compared_by_the_heads_that_least_differ(run: Run) -> None:
    (record,) = run(
        "compare", "Mary lost her keys", "--model", "builtin", "--model", "minilm", "--format", "json"
    ).records
    assert record["model"] == "builtin/encoder → minilm"
    partners = [head["label"] for head in record["heads"]]
    assert len(set(partners)) == 24 and all(partner.count(".") == 1 for partner in partners)


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
        ((TIRED,), 2, "compares two texts, or one text under two models, not 1 text under 1 model"),
        ((TIRED, WIDE, TIRED), 2, "not 3 texts under 1 model"),
        ((TIRED, WIDE, "--model", "builtin", "--model", "minilm"), 2, "not 2 texts under 2 models"),
        (("a dog", "my cat", "--no-added-tokens"), 1, "too few words in common"),
        ((TIRED, ""), 1, "In text 2: "),
        ((TIRED, WIDE, "-o", "folder"), 2, "let it end in .png"),
        ((TIRED, WIDE, "--token", "giraffe"), 1, "no token 'giraffe'"),
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
    run("compare", stdin=b"a b\n" * 9).assert_failed(2, "two texts")
