"""Numbers for each relation between words: which head follows it best."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from attnviz.errors import UsageError
from attnviz.vocabulary import Direction, Kind

ALL_RELATIONS = "all"
"""The name of all relations together, punctuation among them."""


class Followed(Struct, frozen=True):
    """The score of a head on a relation in some texts: how often it occurs, and in what share the head is right.

    `baseline` is the share in which the word `offset` words further is; None is what no text tells.
    """

    count: int
    accuracy: float | None
    baseline: float | None


class Relation(Struct, frozen=True):
    """The best head for a relation, in the better direction, and the best fixed offset.

    `held_out` is about the head, the direction and the offset that are best on the other texts.
    """

    name: str
    direction: Direction
    layer: int
    head: int
    offset: int
    whole: Followed
    held_out: Followed


class RelationTable(Struct, frozen=True, kw_only=True):
    """The relations of a treebank, the most frequent first, and the head that follows each best, over so many texts.

    `definitions` says what each number means, by its name; `left_out` how many dependents no head could be judged by;
    `asked` which treebank it is of.
    """

    model: str
    kind: Kind
    texts: int
    relations: Sequence[Relation]
    definitions: Mapping[str, str]
    left_out: int = 0
    asked: str = ""

    def __repr__(self) -> str:
        """Return what the table is of, without its numbers."""
        return f"RelationTable({self.model}, {self.kind.value}, {len(self.relations)} relations, {self.texts} texts)"

    def __getitem__(self, name: str) -> Relation:
        """Return the relation of this name.

        Raises:
            UsageError: the treebank has none.
        """
        for relation in self.relations:
            if relation.name == name:
                return relation
        known = ", ".join(relation.name for relation in self.relations)
        raise UsageError(f"The table has no relation {name!r}, only: {known}.")
