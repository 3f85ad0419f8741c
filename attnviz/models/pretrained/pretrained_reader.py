"""A pretrained model as the rest of the house knows models."""

from pathlib import Path

import torch
from msgspec import Struct
from msgspec.structs import replace
from transformers import PreTrainedTokenizerBase

from attnviz.errors import ModelError
from attnviz.models.base import Card
from attnviz.models.lengths import count_room, fit_length
from attnviz.models.loading import DEFAULT, Loading
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.models.pretrained.capacity import count_positions, count_vocabulary
from attnviz.models.pretrained.edge import quiet, translate_errors
from attnviz.models.pretrained.encoding import encode_target, make_vocabulary
from attnviz.models.pretrained.generation import Writer, tokenize_written
from attnviz.models.pretrained.languages import Opening, choose_opening, set_languages
from attnviz.models.pretrained.network_loading import Loaded
from attnviz.models.pretrained.remembering import survey_once
from attnviz.models.pretrained.running import TransformersRunner
from attnviz.models.pretrained.survey import make_trial_inputs, survey_model
from attnviz.models.pretrained.tokenizers import TransformersReader
from attnviz.models.pretrained.towers import explain_failure
from attnviz.models.token_names import Vocabulary
from attnviz.text import Token
from attnviz.vocabulary import Kind


def compose(name: str, loaded: Loaded, loading: Loading = DEFAULT, folder: Path | None = None) -> Model:
    """Return a text model that transformers runs; what is found out about one in a `folder` is remembered.

    Raises:
        ModelError: it yields no weights.
        UsageError: there is no such language.
    """
    network, tokenizer = loaded.network, loaded.tokenizer
    set_languages(tokenizer, loading.source_language, loading.target_language, name)
    with torch.inference_mode(), explain_failure(network, name):
        found = survey_once(network, name, folder) if folder else survey_model(network, name)
        read = count_positions(network, make_trial_inputs(network))
    whole = loaded.writer or network
    card = Card(
        name=name,
        purpose=f"a pretrained {network.config.model_type} model, run by transformers",
        stacks=found.stacks,
        parameters=sum(parameter.numel() for parameter in whole.parameters()),
        positions=read,
        config=loaded.config,
        withheld=found.withheld,
        notes=(*loaded.notes, *(f"Of {name}, {one}." for one in found.withheld)),
    )
    runner = TransformersRunner(card, network, found, loaded.writer)
    return Model(card, PretrainedReader(tokenizer, runner, Writer(name, loaded.writer), loaded.start), runner)


class PretrainedReader(Struct, frozen=True):
    """A reader for a model of transformers, which can write too; `start` is the token its decoder begins with."""

    tokenizer: PreTrainedTokenizerBase
    runner: TransformersRunner
    writer: Writer
    start: int | None

    @property
    def card(self) -> Card:
        """Return the card of the model."""
        return self.runner.card

    def read(self, passage: Passage) -> Reading:
        """See `Reader.read`."""
        self.card.accept(passage)
        with quiet(), self.runner.as_it_was(), translate_errors("The text", f"read by {self.card.name}"):
            reading = TransformersReader(self.tokenizer).read(passage, self.card)
            reading = replace(reading, types=self._types(reading.types))
            reading = self._fit(reading, "The text", passage.generate)
            if self.card.translates:
                return self._with_target(reading)
            return self._continue(reading) if passage.generate else reading

    def vocabulary(self) -> Vocabulary:
        """See `Reader.vocabulary`."""
        known, size = make_vocabulary(self.tokenizer), count_vocabulary(self.runner.network)
        return known if size is None else replace(known, size=min(known.size, size))

    def _fit(self, reading: Reading, what: str, more: int = 0) -> Reading:
        """Return a reading for the tokens of which there are positions, and embeddings."""
        reading = fit_length(reading, self.card, what, more)
        size, largest = count_vocabulary(self.runner.network), max(reading.ids)
        if size is not None and largest >= size:
            raise ModelError(
                f"The tokenizer and the network of {self.card.name} do not fit: a token has the number {largest:,}, "
                f"and the network knows {size:,}."
            )
        return reading

    def _types(self, types: tuple[int, ...]) -> tuple[int, ...]:
        """Return the token types, for a model that tells them apart."""
        count = getattr(self.runner.network.config, "type_vocab_size", None)
        fits = count is None or max(types, default=0) < count
        return types if fits and Kind.DECODER not in self.card.kinds else ()

    def _continue(self, reading: Reading) -> Reading:
        """Return the reading of a text and of what the model writes after it."""
        ids = self.writer.write(self.runner.inputs([reading]), reading.passage.generate)
        return reading.continue_with(ids, *tokenize_written(self.tokenizer, ids, len(reading.ids)))

    def _with_target(self, reading: Reading) -> Reading:
        """Return the reading of a text and of its target, which the model writes if there is none."""
        if self.start is None:
            raise ModelError(
                f"{self.card.name} cannot decode: its files do not say with what token its decoder begins."
            )
        begin = choose_opening(self.tokenizer, self.start, self.card.name)
        passage = reading.passage
        if passage.target is not None:
            ids, tokens = encode_target(self.tokenizer, passage.target)
        else:
            ids, tokens, passage = self._translate(reading, begin)
        start = make_vocabulary(self.tokenizer).added(begin.start, 0)
        tokens = [start, *(replace(token, position=position) for position, token in enumerate(tokens, 1))]
        ids = [begin.start, *ids]
        target = self._fit(Reading(passage=passage, ids=tuple(ids), tokens=tuple(tokens)), "The target")
        return replace(reading, passage=passage, target=target)

    def _translate(self, reading: Reading, begin: Opening) -> tuple[list[int], list[Token], Passage]:
        """Return the ids and tokens of the target that the model writes, without its end, and the passage with it."""
        options = {"decoder_start_token_id": begin.start}
        if begin.forced is not None:
            options["forced_bos_token_id"] = begin.forced
        count = count_room(reading.passage, self.card)
        ids = self.writer.write(self.runner.inputs([reading]), count, **options)
        ended = bool(ids) and ids[-1] in self.writer.ends()
        ids = ids[:-1] if ended else ids
        text, tokens = tokenize_written(self.tokenizer, ids, 0)
        return ids, tokens, replace(reading.passage, target=text, written=True, ended=ended)
