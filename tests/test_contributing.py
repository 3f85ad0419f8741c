"""The worked examples of the contributing page: each does what the page says, in a process that begins anew."""

import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import attnviz
from tests.pages import CONTRIBUTING, PAGES, ROOT, blocks, headings, section
from tests.test_layering import ARROWS, EDGE

PAGE = PAGES[CONTRIBUTING]
(TAIL,) = blocks(section(PAGE, "## Add something").partition("\n### ")[0], "python")
TEXT = "Mary lost her keys"


class Example:
    """What stands under a heading: code of one's own, edits of the package, and commands."""

    def __init__(self, heading: str, folder: Path) -> None:
        text = section(PAGE, f"### {heading}")
        self.folder = folder
        self.commands = [line for block in blocks(text, "console") for line in block.splitlines()]
        self.edits = "".join(blocks(text, "diff"))
        (folder / "mine.py").write_text("\n".join([*blocks(text, "python"), TAIL]), encoding="utf-8")

    def run(self, number: int, *more: str, root: Path = ROOT) -> str:
        """Run one of the commands, with more options, on the package in a folder; return what it prints."""
        words = [*shlex.split(self.commands[number]), *more]
        programs = {"python": [], "attnviz": ["-m", "attnviz"]}
        ran = subprocess.run(
            [sys.executable, *programs[words[0]], *words[1:]],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(root)},
            capture_output=True,
            encoding="utf-8",
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    def edited(self) -> Path:
        """Return a folder with a copy of the package to which the edits are made."""
        root = self.folder / "clone"
        left_out = shutil.ignore_patterns("__pycache__", "training")
        shutil.copytree(Path(attnviz.__file__).parent, root / "attnviz", ignore=left_out)
        for name, hunks in re.findall(r"^--- (\S+)\n(.*?)(?=^--- |\Z)", self.edits, re.DOTALL | re.MULTILINE):
            path = root / name
            path.write_text(edit(path.read_text(encoding="utf-8"), hunks), encoding="utf-8")
        return root


def edit(text: str, hunks: str) -> str:
    """Return a text with the hunks of a diff applied, which blank lines part; each fits one place of the text."""
    for hunk in hunks.strip("\n").split("\n\n"):
        lines = hunk.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
        after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
        assert text.count(before) == 1, f"these lines are not there, or more than once:\n{before}"
        text = text.replace(before, after)
    return text


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Example]:
    """The example under a heading of the page."""
    return lambda heading: Example(heading, tmp_path)


def test_the_order_of_the_rooms_is_that_of_their_imports() -> None:
    (chain,) = re.findall(r"^    (.* → cli)$", PAGE, re.MULTILINE)
    groups = [group.split(", ") for group in chain.split(" → ")]
    place = {room: number for number, group in enumerate(groups) for room in group}
    assert place.keys() == ARROWS.keys() - {EDGE}
    for room, others in ARROWS.items():
        if room != EDGE:
            assert all(place[other] < place[room] for other in others.split() if other != EDGE), room


def test_every_example_has_a_test() -> None:
    tested = re.findall(r'example\("(.*?)"\)', Path(__file__).read_text(encoding="utf-8"))
    assert sorted(tested) == sorted([title for level, title in headings(PAGE) if level == 3])


def test_a_statistic_is_listed_and_computed_by_any_number_of_processes(example: Callable[[str], Example]) -> None:
    statistic = example("Add a statistic")
    assert "mean weight of all keys after the query" in statistic.run(0)
    (table,) = map(json.loads, statistic.run(1, root=statistic.edited()).splitlines())
    records = [attnviz.load().attend(text)[0] for text in (TEXT, "The dog barked")]
    expected = np.mean([np.triu(one.weights.astype(float), 1).sum(-1).mean(-1) for one in records], axis=0)
    assert table["texts"] == 2
    found = {(head["layer"], head["head"]): head for head in table["heads"]}
    assert_allclose([head["ahead"] for head in found.values()], expected.ravel(), atol=1e-9)
    labelled = {place for place, head in found.items() if head["label"] == "ahead"}
    later = {"next": 0.5, "same": 0.5, "first": 0.6, "separator": 0.6, "punctuation": 0.6}  # what overwrites it
    ahead = {place for place in found if expected[place] > 0.6}
    assert labelled == {place for place in ahead if all(found[place][name] <= most for name, most in later.items())}
    assert labelled


def test_a_measure_is_saved_shown_and_drawn_as_its_entry_says(example: Callable[[str], Example]) -> None:
    measure = example("Add a measure")
    measure.run(0)
    (saved,) = json.loads((measure.folder / "excess.json").read_text(encoding="utf-8"))["attention"]
    (attention,) = attnviz.load().attend(TEXT)
    expected = attention.weights.astype(float) - 1 / len(attention.key_tokens)
    assert saved["measure"] == "excess"
    assert_allclose(saved["weights"], expected, atol=1e-6)
    shown = measure.run(1)
    assert "excess: + is more, − is less" in shown
    largest = expected[3, 0].flat[abs(expected[3, 0]).argmax()]
    assert f"{largest:+.2f}".replace("-", "−") in shown
    measure.run(2)
    assert (measure.folder / "excess.png").read_bytes().startswith(b"\x89PNG")


def test_a_format_is_a_file_and_a_stream(example: Callable[[str], Example]) -> None:
    markdown = example("Add a format")
    markdown.run(0)
    (attention,) = attnviz.load().attend(TEXT)
    first, second, *rows = (markdown.folder / "her.md").read_text(encoding="utf-8").splitlines()
    tokens = [token.text for token in attention.key_tokens]
    assert [cell.strip() for cell in first.strip("|").split("|")] == ["encoder 3.0", *tokens]
    assert second.count("---:") == len(tokens)
    for token, weights, row in zip(tokens, attention.head(3, 0), rows, strict=False):
        assert [cell.strip() for cell in row.strip("|").split("|")] == [token, *(f"{weight:.3f}" for weight in weights)]
    assert markdown.run(1).count("encoder 3.") == 2


def test_a_section_is_shown_in_its_place(example: Callable[[str], Example]) -> None:
    view = example("Add a view")
    shown = view.run(0, root=view.edited()).split("\n\n")[1].splitlines()
    (attention,) = attnviz.load().attend(TEXT)
    mean = attention.weights.mean((0, 1, 2))  # [keys]
    shares = {token.text: share for token, share in zip(attention.key_tokens, mean, strict=True)}
    most = sorted(shares, key=lambda token: -shares[token])[:3]
    assert shown == ["Most attended", *(f"  {token} {shares[token]:.2f}" for token in most)]


def test_a_family_gives_what_transformers_gives(example: Callable[[str], Example]) -> None:
    family = example("Add a model family")
    ids, expected = data2vec(family.folder / "data2vec")
    (record,) = json.loads(family.run(0, "--format", "json"))["attention"]
    assert record["query_ids"] == ids
    assert_allclose(record["weights"], expected, atol=1e-5)


def data2vec(folder: Path) -> tuple[list[int], Any]:
    """Save a tiny random model, and return the ids of `the cat sat` and its weights [layers, heads, queries, keys]."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<s>", "<pad>", "</s>", "<unk>", "the", "cat", "sat"]
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(words[:4])
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    config = transformers.AutoConfig.for_model(
        "data2vec-text", vocab_size=11, hidden_size=15, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=7, max_position_embeddings=23, initializer_range=0.5, attn_implementation="eager",
    )  # fmt: skip
    torch.manual_seed(5)
    model = transformers.AutoModelForMaskedLM.from_config(config).eval()  # its names have the prefix
    model.save_pretrained(folder)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}', encoding="utf-8")
    ids = [0, 4, 5, 6, 2]
    with torch.inference_mode():
        attentions = model(torch.tensor([ids]), output_attentions=True).attentions
    return ids, np.stack([weights[0].numpy() for weights in attentions])


def test_a_score_function_stands_beside_the_others(example: Callable[[str], Example]) -> None:
    score = example("Add a score function")
    assert "l2: −‖q − k‖² / √d_k" in score.run(0)
    arrays = json.loads(score.run(0, "--format", "json"))["arrays"]
    query, keys = (np.array(arrays[name]["values"]) for name in ("turned_query", "turned_keys"))
    scores = np.array([-np.dot(query - key, query - key) / math.sqrt(query.size) for key in keys])
    expected = np.exp(scores) / np.exp(scores).sum()
    assert arrays["weights_by_score"]["rows"] == ["scaled-dot", "l2"]
    assert_allclose(arrays["weights_by_score"]["values"][1], expected, atol=1e-6)
