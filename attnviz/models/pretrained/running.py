"""A network of transformers that runs."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from attnviz.errors import ModelError, TextError
from attnviz.measures.circuits import Reals, ValueCircuit
from attnviz.models.base import Card, Part, Runner
from attnviz.models.passages import Reading
from attnviz.models.pretrained.changes import keep_unchanged
from attnviz.models.pretrained.circuits import join_network_words, read_circuit
from attnviz.models.pretrained.edge import quiet, translate_errors
from attnviz.models.pretrained.places import AttentionLayer, Inputs, decodes, keep_accepted, unlike_shorter
from attnviz.models.pretrained.plain import no_numbers, sum_to_one
from attnviz.models.pretrained.query_trace import trace_query
from attnviz.models.pretrained.survey import Survey
from attnviz.records import Block, Each, to_numpy
from attnviz.reference.trace import Trace
from attnviz.vocabulary import Engine, Kind


class TransformersRunner(Runner):
    """A network, and the way to get at its weights that a survey has found; `writer` has its map to words too."""

    engine = Engine.TRANSFORMERS

    def __init__(
        self, card: Card, network: PreTrainedModel, found: Survey, writer: PreTrainedModel | None = None
    ) -> None:
        self.card, self.network, self.writer = card, network, writer
        self.way, self.sink = found.way, found.sink
        self.precision = str(network.dtype).removeprefix("torch.")
        self.tokens_at_once = 2**14 if found.together else 1
        self._changes = found.changes

    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        """See `Runner.run`; nothing after the last layer that is wanted is run."""
        inputs = self.inputs(readings)
        wanted = {AttentionLayer(part.kind, layer): part for part in parts if part.rows for layer in part.layers}
        reached: set[AttentionLayer] = set()

        def take(block: Block) -> None:
            self._check_rows(block)
            reached.add(AttentionLayer(block.kind, block.layer))
            each(block)

        with self._running():
            self.way.run(inputs, wanted, take)
        if reached != wanted.keys():
            raise unlike_shorter()

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Runner.trace`; it has queries, keys and values as they meet, and nothing of what they are made from."""
        place, heads, inputs = AttentionLayer(kind, layer), self.card.stacks[kind].heads, self.inputs([reading])
        with self._running():
            return trace_query(self.card.name, self.way, inputs, place, heads, query, self._check_rows)

    @contextmanager
    def _running(self) -> Iterator[None]:
        doing = "run on this text"
        with quiet(), self.as_it_was(), torch.inference_mode(), translate_errors(self.card.name, doing, TextError):
            yield

    def circuit(self, kind: Kind, layer: int) -> ValueCircuit:
        """See `Runner.circuit`."""
        return read_circuit(self.network, self.card, kind, layer)

    def join_words(self) -> Reals:
        """See `Runner.join_words`."""
        return join_network_words(self.network, self.writer, self.card)

    def score_words(self, reading: Reading) -> NDArray[np.float32]:
        """See `Runner.score_words`; what was loaded to write has them, of a decoder alone."""
        if self.writer is None or not self.card.only_decodes:
            return super().score_words(reading)
        with self._running():
            logits: Tensor = self.writer(**self.inputs([reading])).logits[0]
        return to_numpy(logits.float())

    def as_it_was(self) -> AbstractContextManager[None]:
        """Keep the network from becoming another by what it reads."""
        return keep_unchanged(self.network) if self._changes else nullcontext()

    def inputs(self, readings: Sequence[Reading]) -> Inputs:
        """Return what the network is called with for readings of one size, [texts, tokens] each."""
        ids = self._tensor([reading.ids for reading in readings])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if all(reading.types for reading in readings):
            inputs["token_type_ids"] = self._tensor([reading.types for reading in readings])
        if targets := [reading.target.ids for reading in readings if reading.target]:
            inputs["decoder_input_ids"] = self._tensor(targets)
        elif decodes(self.network) and not self.card.translates:  # a decoder that cannot be shown runs after all others
            inputs["decoder_input_ids"] = ids[:, :1]
        return keep_accepted(self.network, inputs)

    def _tensor(self, ids: Sequence[Sequence[int]]) -> Tensor:
        return torch.tensor(ids, device=self.network.device)

    def _check_rows(self, block: Block) -> None:
        """Refuse rows that are no attention weights, as the ones tried at first were."""
        sums, dtype = block.weights.sum(-1, dtype=torch.float32), block.weights.dtype
        if not sum_to_one(sums, dtype, self.sink):
            if dtype is torch.float16 and not sums.isfinite().all():
                raise no_numbers(f"{block.kind.value} weights of layer {block.layer}", self.card.name, dtype)
            raise ModelError(
                f"The {block.kind.value} weights that {self.card.name} computes in layer {block.layer} for tokens "
                f"{block.rows[0]} to {block.rows[-1]} do not sum to 1:",
                hint="try {dtype:float32}.",
            )
