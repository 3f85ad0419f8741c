"""A pretrained model as the rest of the house knows models."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from attnviz.errors import ModelError, TextError
from attnviz.measures.reducers import Block
from attnviz.models.base import Card, Each, Model
from attnviz.models.lengths import fitted
from attnviz.models.loading import DEFAULT, Loading
from attnviz.models.pretrained.changes import unchanged
from attnviz.models.pretrained.edge import quiet, translated
from attnviz.models.pretrained.languages import Opening, opening, set_languages
from attnviz.models.pretrained.loading import Loaded
from attnviz.models.pretrained.places import Inputs, Layer, Part, Piece, accepted, decodes, unlike_shorter
from attnviz.models.pretrained.plain import no_numbers, sum_to_one
from attnviz.models.pretrained.positions import positions, vocabulary
from attnviz.models.pretrained.reading import encode_target, vocabulary_of
from attnviz.models.pretrained.remembering import survey_once
from attnviz.models.pretrained.survey import survey, trial_inputs
from attnviz.models.pretrained.tokenizers import TransformersReader
from attnviz.models.pretrained.towers import told_what_it_reads
from attnviz.models.pretrained.tracing import traced
from attnviz.models.pretrained.writing import Writer, written_tokens
from attnviz.models.reading import Passage, Reading, rows_among
from attnviz.records import Selection
from attnviz.reference.trace import Trace
from attnviz.text import Token
from attnviz.vocabulary import Engine, Kind


class PretrainedModel(Model):
    """A text model that transformers runs; what is found out about one in a `folder` is remembered."""

    engine = Engine.TRANSFORMERS
    tokens_at_once = 2**14

    def __init__(self, name: str, loaded: Loaded, loading: Loading = DEFAULT, folder: Path | None = None) -> None:
        self.network, self.tokenizer = loaded.network, loaded.tokenizer
        self._reader = TransformersReader(self.tokenizer)
        self._writer = Writer(name, loaded.writer)
        self._start = loaded.start
        set_languages(self.tokenizer, loading.source_language, loading.target_language, name)
        self.precision = str(self.network.dtype).removeprefix("torch.")
        with torch.inference_mode(), told_what_it_reads(self.network, name):
            found = survey_once(self.network, name, folder) if folder else survey(self.network, name)
            read = positions(self.network, trial_inputs(self.network))
        self.sink, self.way, self._together = found.sink, found.way, found.together
        self._changes = found.changes
        whole = loaded.writer or self.network
        self.card = Card(
            name=name,
            purpose=f"a pretrained {self.network.config.model_type} model, run by transformers",
            stacks=found.stacks,
            parameters=sum(parameter.numel() for parameter in whole.parameters()),
            positions=read,
            config=loaded.config,
            withheld=found.withheld,
            notes=(*loaded.notes, *(f"Of {name}, {one}." for one in found.withheld)),
        )

    @property
    def translates(self) -> bool:
        """Whether it has an encoder and a decoder."""
        return self.card.translates

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`."""
        self.accept(passage)
        with quiet(), self._as_it_was(), translated("The text", f"read by {self.card.name}"):
            reading = self._reader.read(passage, self.card)
            reading = replace(reading, types=self._types(reading.types))
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
        inputs = self._inputs(readings)
        parts = [
            (own, Part.of(own.heads, rows_among(readings, own.kind, select))) for own in self.wanted_groups(select)
        ]
        wanted = {Layer(own.kind, layer): part for own, part in parts if part.rows for layer in own.layers}
        reached: set[Layer] = set()

        def take(place: Layer, piece: Piece) -> None:
            self._check_rows(place, piece)
            reached.add(place)
            for text, weights in enumerate(piece.weights, first):
                each(Block(place.kind, place.layer, piece.heads, piece.rows, piece.keys, weights, text))

        with self._running():
            self.way.run(inputs, wanted, take)
        if reached != wanted.keys():
            raise unlike_shorter()

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Model.trace`; it has queries, keys and values as they meet, and nothing of what they are made from."""
        self.axes(reading, Selection(kinds=(kind,), layers=(layer,)))  # refuses what is not there
        place, heads, inputs = Layer(kind, layer), self.card.stacks[kind].heads, self._inputs([reading])
        with self._running():
            return traced(self.card.name, self.way, inputs, place, heads, query, self._check_rows)

    @contextmanager
    def _running(self) -> Iterator[None]:
        doing = "run on this text"
        with quiet(), self._as_it_was(), torch.inference_mode(), translated(self.card.name, doing, TextError):
            yield

    def _as_it_was(self) -> AbstractContextManager[None]:
        """Keep the network from becoming another by what it reads."""
        return unchanged(self.network) if self._changes else nullcontext()

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

    def _types(self, types: tuple[int, ...]) -> tuple[int, ...]:
        """The token types, for a model that tells them apart."""
        count = getattr(self.network.config, "type_vocab_size", None)
        fits = count is None or max(types, default=0) < count
        return types if fits and Kind.DECODER not in self.card.kinds else ()

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
        elif decodes(self.network) and not self.translates:  # a decoder that cannot be shown runs after all that can
            inputs["decoder_input_ids"] = ids[:, :1]
        return accepted(self.network, inputs)

    def _check_rows(self, place: Layer, piece: Piece) -> None:
        """Whether these rows are attention weights, which the ones tried at first were."""
        sums, dtype = piece.weights.sum(-1, dtype=torch.float32), piece.weights.dtype
        if not sum_to_one(sums, dtype, self.sink):
            if dtype is torch.float16 and not sums.isfinite().all():
                raise no_numbers(f"{place.kind.value} weights of layer {place.layer}", self.card.name, dtype)
            raise ModelError(
                f"The {place.kind.value} weights that {self.card.name} computes in layer {place.layer} for tokens "
                f"{piece.rows.start} to {piece.rows.stop - 1} do not sum to 1:",
                hint="try {dtype:float32}.",
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
        start = vocabulary_of(self.tokenizer).added(begin.start, 0)
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
