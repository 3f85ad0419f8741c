"""The corpus: reproducible, well linked, and split so that the test is about generalising."""

import re
from itertools import islice

import pytest

from attnviz.training.corpus.builder import Example, Link, Relation
from attnviz.training.corpus.examples import Draft, Split, drafts, examples, lexicon_size
from attnviz.training.corpus.frames import combination, frames, is_held_out
from attnviz.training.corpus.holdout import held_out_nouns
from attnviz.training.corpus.lexicon import lexicon

PRONOUNS = (
    {"he", "she", "it", "they", "him", "her", "them", "his", "its", "their"}
    | {"himself", "herself", "itself", "themselves"}
    | {"i", "you", "we", "me", "us"}
)


def word(example: Example, span: tuple[int, int]) -> str:
    return example.text[slice(*span)]


def antecedents(example: Example) -> list[Link]:
    return [link for link in example.links if link.relation is Relation.PRONOUN_ANTECEDENT]


@pytest.fixture(scope="module")
def train() -> list[Draft]:
    return list(islice(drafts(Split.TRAIN, 0), 20_000))


@pytest.fixture(scope="module")
def held_out() -> list[Draft]:
    return list(islice(drafts(Split.TEST, 0), 3_000))


@pytest.fixture(scope="module")
def both(train: list[Draft], held_out: list[Draft]) -> list[Example]:
    return [draft.example for draft in (*train, *held_out)]


@pytest.mark.parametrize("split", Split)
def test_a_seed_fixes_the_texts(split: Split) -> None:
    assert list(islice(examples(split, 5), 200)) == list(islice(examples(split, 5), 200))


def test_another_seed_gives_other_texts() -> None:
    assert list(islice(examples(Split.TRAIN, 1), 20)) != list(islice(examples(Split.TRAIN, 2), 20))


def test_every_span_is_one_whole_word(both: list[Example]) -> None:
    for example in both:
        words = {match.span() for match in re.finditer(r"[A-Za-z]+(?:'[a-z]*)?", example.text)}
        for link in example.links:
            assert {link.source, link.target} <= words, example.text


def test_an_antecedent_is_never_a_pronoun_and_comes_before(both: list[Example]) -> None:
    for example in both:
        for link in antecedents(example):
            assert word(example, link.source).lower() in PRONOUNS
            assert word(example, link.target).lower() not in PRONOUNS
            assert link.target < link.source


def test_texts_are_spelled_as_sentences(both: list[Example]) -> None:
    for example in both:
        assert re.fullmatch(r"[A-Za-z][A-Za-z' ,.?!]*[A-Za-z.?!']", example.text), example.text
        assert "  " not in example.text
        assert not re.search(r"\ba [aeio]", example.text, re.IGNORECASE), example.text


def test_training_never_shows_a_held_out_noun_with_a_pronoun(train: list[Draft]) -> None:
    words = lexicon()
    forms = {form for lemma in held_out_nouns() for form in (lemma, words.nouns[lemma].plural)}
    for draft in train:
        if antecedents(draft.example):
            said = set(re.findall(r"[a-z]+", draft.example.text.lower()))
            assert not said & forms, draft.example.text


def test_training_shows_the_held_out_nouns_elsewhere(train: list[Draft]) -> None:
    seen = {noun for draft in train for noun in draft.nouns}
    assert len(held_out_nouns()) >= 40
    assert len(held_out_nouns() & seen) >= 0.8 * len(held_out_nouns())


def test_training_never_shows_a_held_out_combination(train: list[Draft]) -> None:
    assert not [draft.combination for draft in train if draft.combination and is_held_out(draft.combination)]


def test_every_test_text_asks_about_something_held_out(held_out: list[Draft]) -> None:
    for draft in held_out:
        assert antecedents(draft.example)
        unseen = draft.combination and is_held_out(draft.combination)
        assert unseen or draft.candidates & held_out_nouns(), draft.example.text


def test_the_test_split_covers_frames_and_other_texts_in_a_thousand_sentences(held_out: list[Draft]) -> None:
    assert len({draft.example.text for draft in held_out}) >= 1_000
    assert {draft.example.kind.split(":")[0] for draft in held_out} >= {"frame", "narrative", "anaphora"}


def test_no_test_text_has_an_invented_noun(held_out: list[Draft]) -> None:
    words = lexicon()
    assert all(
        noun in words.nouns or noun in {name.lemma for name in words.names} for d in held_out for noun in d.nouns
    )


def test_training_has_invented_nouns(train: list[Draft]) -> None:
    known = {*lexicon().nouns, *(name.lemma for name in lexicon().names)}
    share = sum(not draft.nouns <= known for draft in train) / len(train)
    assert 0.04 < share < 0.15


def test_the_lexicon_is_broad() -> None:
    size = lexicon_size()
    assert size["total"] >= 1_500
    assert size["adjective"] >= 150
    assert size["verb"] >= 200
    assert size["total"] == sum(count for name, count in size.items() if name != "total")


def test_there_are_sixty_families_of_frames() -> None:
    families = [frame.family for frame in frames()]
    assert len(families) == len(set(families)) >= 60


def test_both_candidates_of_every_frame_are_trained() -> None:
    for frame in frames():
        for letter in frame.candidates:
            trained = [
                continuation
                for continuation in frame.continuations
                if continuation.letter == letter
                for slot in frame.slots
                if slot.letter == letter
                for noun in (*slot.pool.nouns, *slot.pool.names)
                if not is_held_out(combination(frame, continuation, noun))
            ]
            assert trained, (frame.family, letter)


@pytest.mark.parametrize(("predicate", "label"), [("tired", "animal"), ("wide", "street")])
def test_the_predicate_decides_the_antecedent(train: list[Draft], predicate: str, label: str) -> None:
    forms = {noun.lemma for noun in lexicon().members(label)}
    texts = [
        draft.example
        for draft in train
        if draft.example.kind == "frame:cross-street"
        and predicate in draft.example.text.split(".")[0]
        and draft.nouns <= lexicon().nouns.keys()
    ]
    assert texts
    assert all(word(example, antecedents(example)[0].target) in forms for example in texts)
