"""Examples, the links inside them, and the builder that turns words into a text with spans."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from attnviz.text import Span
from attnviz.training.corpus.morphology import takes_an

_SENTENCE_ENDS = frozenset({".", "?", "!"})
_PUNCTUATION = _SENTENCE_ENDS | {","}


class Relation(Enum):
    """The relation of one word to another; the arrow runs from the first to the second."""

    DETERMINER_NOUN = "determiner to noun"
    ADJECTIVE_NOUN = "adjective to noun"
    VERB_SUBJECT = "verb to subject"
    VERB_OBJECT = "verb to object"
    PREPOSITION_OBJECT = "preposition to object"
    AUXILIARY_VERB = "auxiliary to verb"
    ADVERB_VERB = "adverb to verb"
    POSSESSIVE_NOUN = "possessor to noun"
    RELATIVE_NOUN = "relative pronoun to noun"
    PREDICATE_SUBJECT = "predicate to subject"
    PRONOUN_ANTECEDENT = "pronoun to antecedent"


class Link(Struct, frozen=True):
    """A relation between two words, each given by its character span in the text."""

    relation: Relation
    source: Span
    target: Span


class Example(Struct, frozen=True):
    """A text of one or several sentences with the links among its words and the construction it shows."""

    text: str
    links: tuple[Link, ...]
    kind: str


class TextBuilder:
    """Words and links by word index, in the order in which the generator says them."""

    __slots__ = ("_links", "words")

    def __init__(self) -> None:
        self.words: list[str] = []
        self._links: list[tuple[Relation, int, int]] = []

    def add(self, word: str) -> int:
        """Append a word or a punctuation mark; its index."""
        self.words.append(word)
        return len(self.words) - 1

    def link(self, relation: Relation, source: int, target: int) -> None:
        """Record a relation between two words that have been added."""
        self._links.append((relation, source, target))

    def lead(self, relation: Relation, word: str) -> None:
        """Append a word that depends on the word that comes right after it."""
        self._links.append((relation, len(self.words), len(self.words) + 1))
        self.words.append(word)

    @property
    def has_pronoun(self) -> bool:
        """Return whether some pronoun has an antecedent."""
        return any(relation is Relation.PRONOUN_ANTECEDENT for relation, _, _ in self._links)

    def finish(self, kind: str, *, capitalise: bool = True) -> Example:
        """Spell the text: spaces, capitals, *a* or *an*; the links become spans."""
        words = self.words
        spans: list[Span] = []
        pieces: list[str] = []
        position = 0
        initial = capitalise
        for index, word in enumerate(words):
            if word == "a" and takes_an(words[index + 1]):
                word = "an"
            if word in _PUNCTUATION:
                initial = word in _SENTENCE_ENDS
            else:
                if position:
                    pieces.append(" ")
                    position += 1
                if initial:
                    word = word[0].upper() + word[1:]
                    initial = False
            end = position + len(word)
            spans.append((position, end))
            pieces.append(word)
            position = end
        links = tuple([Link(relation, spans[source], spans[target]) for relation, source, target in self._links])
        return Example("".join(pieces), links, kind)
