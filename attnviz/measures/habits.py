"""Habits of heads: the places that each head's weight goes to, and how concentrated it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.records import Attention, Weights
from attnviz.vocabulary import Place


@dataclass(frozen=True, slots=True, eq=False)
class Habits:
    """The habits of each head: means over the queries that are not special tokens, or over all if all are special.

    `shares` [places, layers, heads] is the weight that goes to each place (Clark et al. 2019, section 3), in the order
    of `Place`; `concentration` [layers, heads] is the largest weight in a row.
    """

    shares: Weights
    concentration: Weights

    @property
    def main(self) -> list[list[Place]]:
        """Return where most of each head's weight goes, [layers][heads]."""
        order = list(Place)
        return [[order[place] for place in layer] for layer in self.shares.argmax(0)]


def find_habits(attention: Attention) -> Habits:
    """Return where each head of a record looks, and how concentrated it is."""
    every = range(len(attention.query_tokens))
    queries = [i for i in every if not attention.query_tokens[i].special] or list(every)
    places = _find_places(attention)[queries]  # [queries, keys]
    shares = np.zeros((len(Place), *attention.shape[:2]), np.float32)
    concentration = np.zeros(attention.shape[:2], np.float32)
    for layer, head in np.ndindex(*attention.shape[:2]):  # one by one, since all of them together are large
        rows = attention.weights[layer, head, queries]  # [queries, keys]
        shares[:, layer, head] = [(rows * (places == place)).sum(-1).mean() for place in range(len(Place))]
        concentration[layer, head] = rows.max(-1).mean()
    return Habits(shares, concentration)


def _find_places(attention: Attention) -> NDArray[np.int64]:
    """Return what each key is to each query, by its index in `Place`: [queries, keys]."""
    order = list(Place)
    places = np.full(attention.shape[2:], order.index(Place.OTHER))
    if (distances := attention.distances()) is not None:
        for distance, place in ((-1, Place.PREVIOUS), (1, Place.NEXT), (0, Place.SAME)):
            places[distances == distance] = order.index(place)
    places[:, [token.special for token in attention.key_tokens]] = order.index(Place.SPECIAL)
    return places
