"""Long texts: some rows, stretches of a text, a memory that suffices, texts longer than the model reads."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.testing import assert_allclose

from attnviz.models.model import Model
from attnviz.pipeline.artifacts import Maker
from attnviz.pipeline.batch import exports
from attnviz.pipeline.job import Job
from attnviz.pipeline.manifest import ManifestEntry
from attnviz.pipeline.outcomes import KeepWeights, Note, outcomes
from attnviz.pipeline.streams import Source
from attnviz.records import Attention
from attnviz.text import Bins, group_tokens
from attnviz.vocabulary import Layout
from tests.cli.conftest import Run

SENTENCE = "The animal didn't cross the street because it was too tired"
LONG = "The old man saw a boat and the boy took it home. " * 60  # more than 512 tokens
Attend = Callable[[str], Attention]


class TestRows:
    def test_named_rows_are_those_of_the_whole_at_all_keys(self, run: Run, attend: Attend) -> None:
        (record,) = run("show", SENTENCE, "--rows", "it,2-3", "--format", "json").records
        whole, found = attend(SENTENCE), record["attention"][0]
        rows = [2, 3, [token.text for token in whole.query_tokens].index("it")]
        assert found["query_tokens"] == [whole.query_tokens[row].text for row in rows]
        assert found["key_tokens"] == [token.text for token in whole.key_tokens]
        assert_allclose(np.array(found["weights"]), whole.weights[:, :, rows], atol=1e-6)

    def test_csv_names_rows_by_their_place_in_the_text(self, run: Run) -> None:
        rows = run("show", SENTENCE, "--rows", "4", "--layer", "1", "--head", "2", "--format", "csv").rows()
        assert {row["query"] for row in rows} == {"4"}
        assert [row["key"] for row in rows] == [str(key) for key in range(len(rows))]

    def test_tables_and_pictures_take_them(self, run: Run, tmp_path: Path) -> None:
        assert "2 × 13 tokens" in run("show", SENTENCE, "--rows", "street,7").out
        assert run("export", SENTENCE, "--rows", "it", "-o", tmp_path / "it.png").code == 0

    def test_a_row_of_a_translation_may_be_one_of_either_side_but_is_one(self, run: Run) -> None:
        on = "--model", "builtin/translator", "--target", "le chien", "--format", "json"
        kinds = {
            each["kind"]: each for each in run("show", "The old dog", "--rows", "chien", *on).records[0]["attention"]
        }
        assert kinds.keys() == {"decoder", "cross"}
        assert kinds["cross"]["query_tokens"] == ["chien"]
        run("show", "The old dog", "--rows", "9", *on).assert_failed(1, "no token '9'")

    def test_each_of_a_list_has_to_be_there(self, run: Run) -> None:
        run("show", SENTENCE, "--rows", "it,camel").assert_failed(1, "'camel'")

    def test_a_number_that_is_no_position_is_a_word(self, run: Run) -> None:
        (record,) = run("show", "in 2024 we ran", "--rows", "2024", "--format", "json").records
        assert [token for token in record["attention"][0]["query_tokens"] if token in "2024"]

    def test_a_row_that_is_not_there_is_named(self, run: Run) -> None:
        run("show", SENTENCE, "--rows", "2", "--rows", "camel").assert_failed(1, "'camel'", "1 The")

    def test_rows_are_not_grouped(self, run: Run) -> None:
        run("show", SENTENCE, "--rows", "2", "--by", "word").assert_failed(2, "group tokens, or choose rows")


class TestBins:
    def test_weights_between_stretches_are_sums_over_keys_and_means_over_queries(
        self, run: Run, attend: Attend
    ) -> None:
        (record,) = run("show", SENTENCE, "--by", "bins:5", "--format", "json").records
        whole, found = attend(SENTENCE), record["attention"][0]
        member = np.eye(5)[list(group_tokens(whole.key_tokens, Bins(5)).index)]  # [tokens, bins]
        expected = (member / member.sum(0)).T @ whole.weights.astype(np.float64) @ member
        assert_allclose(np.array(found["weights"]), expected, atol=1e-6)
        assert found["by"] == "bins:5"
        assert found["query_tokens"][0] == "[CLS]"
        assert found["query_spans"][1][0] == 0

    def test_a_picture_and_a_table_say_that_they_show_bins(self, run: Run, tmp_path: Path) -> None:
        assert "5 bins" in run("show", SENTENCE, "--by", "bins:5").out
        run("export", SENTENCE, "--by", "bins:5", "-o", tmp_path / "bins.svg")
        assert "between bins" in (tmp_path / "bins.svg").read_text()

    @pytest.mark.parametrize("by", ["bins:0", "bins:many", "phrase"])
    def test_what_nothing_can_be_grouped_by_is_refused(self, run: Run, by: str) -> None:
        run("show", SENTENCE, "--by", by).assert_failed(2, "--by")


class TestMemory:
    def test_what_would_not_fit_is_said_and_seen_through_bins(self, run: Run) -> None:
        ran = run("show", LONG[:1500], "--memory", "7MB", "--format", "json")
        found = ran.records[0]["attention"][0]
        assert found["by"] == "bins:256"
        assert np.array(found["weights"]).shape == (4, 6, 256, 256)
        assert re.search(r"24 heads for (\d+) queries and \1 keys would take [\d.]+ MB.*--memory allows 7 MB", ran.err)

    def test_it_is_said_before_anything_is_computed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Model, "weights_of", lambda *given: pytest.fail("computed before it was said"))
        job, source = Job(memory=7_000_000), Source(LONG[:1500].encode())
        assert isinstance(next(outcomes(KeepWeights(job), [source]))[1], Note)
        named = {"text": "", "source": None, "file": None, "hash": None, "model": "m", "engine": "auto", "options": {}}
        made = exports(
            job, Maker(("npz",), Layout.GRID, None, None), [replace(source, asked=ManifestEntry(index=0, **named))]
        )
        assert isinstance(next(made), Note)

    @pytest.mark.parametrize("asked", [["--by", "token"], ["--rows", "0-400"], ["--by", "bins:300"]])
    def test_what_was_asked_for_and_does_not_fit_is_refused(self, run: Run, asked: list[str]) -> None:
        ran = run("show", LONG[:1500], "--memory", "1MB", *asked)
        ran.assert_failed(1, "--memory allows 1 MB", "--layer")
        assert ("--by bins:102" in ran.err) == ("--rows" not in asked)  # 24 heads of 102 × 102 weights are 999 kB
        assert ran.stdout == b""

    def test_as_many_bins_as_fit_are_shown(self, run: Run) -> None:
        ran = run("show", LONG[:1500], "--memory", "1MB", "--format", "json")
        assert ran.records[0]["attention"][0]["by"] == "bins:102"
        run("show", SENTENCE, "--memory", "0").assert_failed(1, "allows 0 B")

    def test_groups_that_fit_are_shown(self, run: Run) -> None:
        ran = run("show", LONG[:1500], "--memory", "1MB", "--by", "sentence", "--format", "json")
        assert ran.records[0]["attention"][0]["by"] == "sentence"

    def test_what_fits_stays_as_it_is(self, run: Run) -> None:
        ran = run("show", SENTENCE, "--memory", "1 MiB", "--format", "json")
        assert (ran.records[0]["attention"][0]["by"], ran.err) == ("token", "")

    def test_each_of_two_texts_that_are_compared_has_half_of_it(self, run: Run) -> None:
        texts = "Mary lost her keys", "Mary lost her dogs"  # 24 heads of 6 × 6 weights, 4 bytes each, 4 times: 13,824
        two = "compare", *texts, "--memory"
        assert run(*two, f"{2 * 13_824}B").err == ""
        run(*two, f"{2 * 13_824 - 1}B").assert_failed(1, "would take 27.6 kB")

    def test_a_picture_of_less_than_268_mb_is_drawn_whatever_the_memory(self, run: Run, tmp_path: Path) -> None:
        asked = "export", "Mary lost her keys", "--memory", "30MB", "-o", tmp_path / "it.png", "--dpi"
        assert run(*asked, "600").code == 0
        run(*asked, "1200").assert_failed(1, "The picture would take", "--memory allows 30 MB: give a smaller --dpi")

    @pytest.mark.parametrize("size", ["much", "-1GB", "1XB", ""])
    def test_a_size_that_is_none_is_refused(self, run: Run, size: str) -> None:
        run("show", SENTENCE, "--memory", size).assert_failed(2, "write 500MB or 2GB")


class TestTooLong:
    def test_the_limit_and_the_ways_out_are_named(self, run: Run) -> None:
        run("show", LONG).assert_failed(1, "at most 512", "--truncate", "--window 512:256")

    def test_truncated_it_is_read_from_its_beginning_and_says_so(self, run: Run) -> None:
        (record,) = run("show", LONG, "--truncate", "--layer", "0", "--head", "0", "--format", "json").records
        found = record["attention"][0]
        assert len(found["key_tokens"]) == 512
        assert (found["key_tokens"][0], found["key_tokens"][-1]) == ("[CLS]", "[SEP]")
        assert re.fullmatch(r"text cut to 512 of \d+ tokens", found["notes"][0])

    def test_read_in_windows_every_token_is_there_once_with_the_number_of_its_window(self, run: Run) -> None:
        ran = run("show", LONG, "--window", "128:64", "--layer", "0", "--head", "0", "--format", "json")
        found = ran.records[0]["attention"][0]
        said = [span for span in found["query_spans"] if span]
        assert said == sorted(said)
        assert "".join(LONG[start:end] for start, end in said) == LONG.replace(" ", "")
        windows = found["query_windows"]
        assert windows == sorted(windows)
        assert set(windows) == set(range(windows[-1] + 1))
        assert_allclose(np.array(found["weights"]).sum(-1), 1, atol=1e-4)

    def test_windows_take_every_view(self, run: Run, tmp_path: Path) -> None:
        text = LONG[:900]
        assert "read in " in run("show", text, "--window", "64", "--by", "bins:16").out
        one_head = "--layout", "head", "--layer", "1", "--head", "1"
        assert run("export", text, "--window", "64:40", *one_head, "-o", tmp_path).code == 0
        assert [path.suffix for path in tmp_path.glob("*.png")] == [".png"]

    def test_a_continued_text_leaves_room_for_what_is_written(self, run: Run) -> None:
        ran = run("show", LONG, "--model", "builtin/decoder", "--truncate", "--generate", "3", "--format", "json")
        assert len(json.loads(ran.out)["attention"][0]["key_tokens"]) <= 512
        assert ran.records[0]["target"]

    def test_a_target_that_is_too_long_is_cut_as_well(self, run: Run) -> None:
        options = "--model", "builtin/translator", "--target", "le " * 300, "--truncate", "--format", "json"
        found = {each["kind"]: each for each in run("show", "the dog", *options).records[0]["attention"]}
        assert found["cross"]["notes"][0].startswith("target cut to ")
        assert found["encoder"]["key_tokens"][:2] == ["the", "dog"]

    def test_no_more_is_written_than_can_be_read(self, run: Run) -> None:
        options = "--model", "builtin/decoder", "--truncate", "--generate", "100000"
        run("show", "the dog", *options).assert_failed(1, "ask for fewer")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--truncate", "--window", "64:32"], "not both"),
            (["--window", "64:90"], "use a stride of at most 62, or larger windows, for example --window 64:32."),
            (["--window", "1024:512"], "at most 512"),
            (["--window", "2:1"], "make them longer"),
            (["--window", "0:3"], "write 512:256"),
            (["--window", "wide"], "write 512:256"),
            (["--window", "64:32", "--model", "builtin/translator"], "Windows work only for one text"),
        ],
    )
    def test_what_cannot_be_is_a_sentence(self, run: Run, options: list[str], said: str) -> None:
        run("show", LONG, *options).assert_failed(2, said)

    def test_one_head_is_explained_on_one_reading(self, run: Run) -> None:
        run("explain", LONG, "--window", "64:32").assert_failed(2, "leave --window out")
        assert run("explain", LONG, "--truncate", "--token", "2").code == 0
