"""What `attnviz explain` compares a head with."""

from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, ClassVar

import typer

from attnviz.cli import options
from attnviz.errors import UsageError
from attnviz.lessons import WhatIf
from attnviz.reference.scores import SCORES

_SHUFFLED = 1  # the seed of the other order


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """What the head is compared with."""

    HEADING: ClassVar = "What if"

    scores: Annotated[
        str | None, typer.Option(metavar="<NAME,…>", help=f"Its weights under score functions: {', '.join(SCORES)}.")
    ] = None
    no_scale: Annotated[bool, typer.Option("--no-scale", help="Its weights without the scale.")] = False
    no_mask: Annotated[bool, typer.Option("--no-mask", help="Its weights with nothing hidden.")] = False
    no_positions: Annotated[bool, typer.Option("--no-positions", help="The model run again without positions.")] = False
    permute: Annotated[bool, typer.Option("--permute", help="The model run again on the tokens in another order.")] = (
        False
    )
    online: Annotated[
        int | None, typer.Option(min=1, metavar="<N>", help="Softmax as FlashAttention does it, N keys at a time.")
    ] = None

    def score_names(self) -> tuple[str, ...]:
        """The names of the score functions.

        Raises:
            BadParameter: one is not known.
        """
        if self.scores is None:
            return ()
        names = tuple(dict.fromkeys(name.strip() for name in self.scores.split(",")))
        for name in names:
            options.one_of(SCORES)(name)
        return names

    def what_if(self, special: list[bool], **drawn: Any) -> WhatIf:
        """All of it, for tokens some of which are special and stay where they are."""
        return WhatIf(
            scores=self.score_names(),
            no_scale=self.no_scale,
            no_mask=self.no_mask,
            no_positions=self.no_positions,
            order=_shuffled(special) if self.permute else None,
            tile=self.online,
            **drawn,
        )


def _shuffled(special: list[bool]) -> tuple[int, ...]:
    """Another order of tokens, always the same for as many.

    Raises:
        UsageError: there are no two that can change places.
    """
    places = [index for index, stays in enumerate(special) if not stays]
    if len(places) < 2:
        raise UsageError("--permute needs two tokens that can change places: give a longer text.")
    moved, chance = places.copy(), Random(_SHUFFLED)
    while moved == places:
        chance.shuffle(moved)
    at = dict(zip(places, moved, strict=True))
    return tuple(at.get(index, index) for index in range(len(special)))
