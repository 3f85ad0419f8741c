"""A pretrained model as the rest of the house knows models."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from attnviz.attention import Engine, Kind, Selection
from attnviz.errors import ModelError, TextError
from attnviz.folds import Block
from attnviz.models.base import Card, Each, Model
from attnviz.models.lengths import fitted
from attnviz.models.loading import Loading
from attnviz.models.pretrained.edge import quiet, translated
from attnviz.models.pretrained.languages import Opening, opening, set_languages
from attnviz.models.pretrained.loading import load_files
from attnviz.models.pretrained.places import Inputs, Part, Piece, Place, accepted, unlike_shorter
from attnviz.models.pretrained.positions import positions, vocabulary
from attnviz.models.pretrained.reading import encode, encode_target, name_of
from attnviz.models.pretrained.remembering import survey_once
from attnviz.models.pretrained.survey import no_numbers, sum_to_one
from attnviz.models.pretrained.tracing import traced
from attnviz.models.pretrained.writing import Writer, written_tokens
from attnviz.models.reading import Passage, Reading, rows_among
from attnviz.reference.trace import Trace
from attnviz.text import Token, special_token


class PretrainedModel(Model):
    """A text model that transformers loads and runs."""

    engine = Engine.TRANSFORMERS
    tokens_at_once = 2**14

    def __init__(self, name: str, folder: Path, loading: Loading) -> None:
        loaded = load_files(name, folder, loading)
        self.network, self.tokenizer = loaded.network, loaded.tokenizer
        self._writer = Writer(name, loaded.writer)
        self._start = loaded.start
        set_languages(self.tokenizer, loading.source_language, loading.target_language, name)
        self.precision = str(self.network.dtype).removeprefix("torch.")
        with torch.inference_mode(), translated(name, "run"):
            found = survey_once(self.network, name, folder)
        self.sink, self.way, self._together = found.sink, found.way, found.together
        whole = loaded.writer or self.network
        self.card = Card(
            name=name,
            purpose=f"a pretrained {self.network.config.model_type} model, run by transformers",
            stacks=found.stacks,
            parameters=sum(parameter.numel() for parameter in whole.parameters()),
            positions=positions(self.network),
            config=loaded.config,
        )

    @property
    def translates(self) -> bool:
        """Whether it has an encoder and a decoder."""
        return Kind.CROSS in self.card.stacks

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`."""
        self.accept(passage)
        with quiet(), translated("The text", f"read by {self.card.name}"):
            ids, tokens, types = encode(self.tokenizer, passage.text, passage.pair)
            reading = Reading(passage=passage, ids=tuple(ids), tokens=tuple(tokens), types=self._types(types))
            reading = self._fitted(reading, "The text", passage.generate)
            if self.translates:
                return self._with_target(reading)
            return self._continued(reading) if passage.generate else reading

    def run(self, readings: Sequence[Reading], select: Selection, each: Each) -> None:
        """See `Model.run`; nothing after the last layer that is wanted is run."""
        at_once = len(readings) if self._together else 1
        for first in range(0, len(readings), at_once):
            self._run(readings[first : first + at_once], first, select, each)

    def _run(self, readings: Sequence[Reading], first: int, select: Selection, each: Each) -> None:
        """Runs the model once on readings of one size, the number of the first of which is given."""
        own, inputs = self.wanted(select), self._inputs(readings)
        parts = {kind: Part.of(some.heads, rows_among(readings, kind, select)) for kind, some in own.items()}
        wanted = {
            Place(kind, layer): parts[kind] for kind, some in own.items() if parts[kind].rows for layer in some.layers
        }
        reached: set[Place] = set()

        def take(place: Place, piece: Piece) -> None:
            self._check_rows(place, piece)
            reached.add(place)
            for text, weights in enumerate(piece.weights, first):
                each(Block(place.kind, place.layer, piece.heads, piece.rows, piece.keys, weights, text))

        with self._running():
            self.way.run(inputs, wanted, take)
        if reached != wanted.keys():
            raise unlike_shorter()

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Model.trace`; it has what the attention function is given, and nothing of what that is made from."""
        self.axes(reading, Selection(kinds=(kind,), layers=(layer,)))  # refuses what is not there
        with self._running():
            return traced(
                self.card.name, self.way, self._inputs([reading]), Place(kind, layer), query, self._check_rows
            )

    @contextmanager
    def _running(self) -> Iterator[None]:
        with quiet(), torch.inference_mode(), translated(self.card.name, "run on this text", TextError):
            yield

    def _fitted(self, reading: Reading, what: str, more: int = 0) -> Reading:
        """A reading for the tokens of which there are positions, and embeddings."""
        reading = fitted(reading, self.card, what, more)
        size, largest = vocabulary(self.network), max(reading.ids)
        if size is not None and largest >= size:
            raise ModelError(
                f"The tokenizer and the network of {self.card.name} do not fit: a token has the number {largest:,}, "
                f"and the network knows {size:,}."
            )
        return reading

    def _types(self, types: list[int]) -> tuple[int, ...]:
        """The token types, for a model that tells them apart."""
        count = getattr(self.network.config, "type_vocab_size", None)
        fits = count is None or max(types, default=0) < count
        return tuple(types) if fits and Kind.DECODER not in self.card.stacks else ()

    def _tensor(self, ids: Sequence[Sequence[int]]) -> Tensor:
        return torch.tensor(ids, device=self.network.device)

    def _inputs(self, readings: Sequence[Reading]) -> Inputs:
        """What the network is called with for readings of one size, [texts, tokens] each."""
        ids = self._tensor([reading.ids for reading in readings])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if all(reading.types for reading in readings):
            inputs["token_type_ids"] = self._tensor([reading.types for reading in readings])
        if targets := [reading.target.ids for reading in readings if reading.target]:
            inputs["decoder_input_ids"] = self._tensor(targets)
        return accepted(self.network, inputs)

    def _check_rows(self, place: Place, piece: Piece) -> None:
        """Whether these rows are attention weights, which the ones tried at first were."""
        sums, dtype = piece.weights.sum(-1, dtype=torch.float32), piece.weights.dtype
        if not sum_to_one(sums, dtype, self.sink):
            if dtype is torch.float16 and not sums.isfinite().all():
                raise no_numbers(f"{place.kind.value} weights of layer {place.layer}", self.card.name, dtype)
            raise ModelError(
                f"The {place.kind.value} weights that {self.card.name} computes in layer {place.layer} for tokens "
                f"{piece.rows.start} to {piece.rows.stop - 1} do not sum to 1: try --dtype float32."
            )

    def _continued(self, reading: Reading) -> Reading:
        """The reading of a text and of what the model writes after it."""
        ids = self._writer.write(self._inputs([reading]), reading.passage.generate)
        text, tokens = written_tokens(self.tokenizer, ids, len(reading.ids))
        passage = replace(reading.passage, target=text, written=True)
        whole = (*reading.tokens, *tokens)
        since = len(reading.tokens)
        return replace(reading, passage=passage, ids=(*reading.ids, *ids), tokens=whole, written_from=since)

    def _with_target(self, reading: Reading) -> Reading:
        """The reading of a text and of its target, which the model writes if there is none."""
        if self._start is None:
            raise ModelError(
                f"{self.card.name} cannot decode: its files do not say with what token its decoder begins."
            )
        begin = opening(self.tokenizer, self._start, self.card.name)
        passage = reading.passage
        if passage.target is not None:
            ids, tokens = encode_target(self.tokenizer, passage.target)
        else:
            ids, tokens, passage = self._translated(reading, begin)
        start = special_token(name_of(self.tokenizer, begin.start), 0)
        tokens = [start, *(replace(token, position=position) for position, token in enumerate(tokens, 1))]
        ids = [begin.start, *ids]
        target = self._fitted(Reading(passage=passage, ids=tuple(ids), tokens=tuple(tokens)), "The target")
        return replace(reading, passage=passage, target=target)

    def _translated(self, reading: Reading, begin: Opening) -> tuple[list[int], list[Token], Passage]:
        """The ids and tokens of the target that the model writes, without its end, and the passage with it."""
        options = {"decoder_start_token_id": begin.start}
        if begin.forced is not None:
            options["forced_bos_token_id"] = begin.forced
        most = reading.passage.max_new_tokens
        count = most if self.card.positions is None else min(most, self.card.positions - 1)
        ids = self._writer.write(self._inputs([reading]), count, **options)
        ended = bool(ids) and ids[-1] in self._writer.ends()
        ids = ids[:-1] if ended else ids
        text, tokens = written_tokens(self.tokenizer, ids, 0)
        return ids, tokens, replace(reading.passage, target=text, written=True, ended=ended)
