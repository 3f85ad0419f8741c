"""Learning the built-in models' tokenizer: byte-level subwords (Sennrich et al. 2016; Radford et al. 2019, 2.2)."""

from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PAD, CLS, SEP, MASK = SPECIAL = "[PAD]", "[CLS]", "[SEP]", "[MASK]"
START, END = SPOKEN = "[START]", "[END]"

_WORD = r"\w+(['’]\w+)*"
_SPACED_WORD = r" ?(([cdjlmnst]|qu)['’](?=\w)|\w+(['’]\w+)*|[^\w\s])"


def learn_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a tokenizer whose pieces are learned on these texts, and which falls back on bytes for all else.

    Letter case is ignored; pieces never cross the edge of a word, and blanks belong to none.
    """
    words = pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(_WORD), "isolated")
    tokenizer = _learned(texts, vocabulary, SPECIAL, words)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}", special_tokens=[(name, SPECIAL.index(name)) for name in (CLS, SEP)]
    )
    return tokenizer


def learn_writing_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a tokenizer likewise for a model that writes: a blank belongs to the word after it, so ids spell a text.

    A French word that is elided, such as *l'*, is one of its own. Special tokens are added by whoever reads.
    """
    tokenizer = _learned(texts, vocabulary, SPOKEN, [pre_tokenizers.Split(Regex(_SPACED_WORD), "isolated")])
    blanks = normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(), normalizers.Prepend(" ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *blanks])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _learned(
    texts: Iterable[str], vocabulary: int, special: Sequence[str], words: Sequence[pre_tokenizers.PreTokenizer]
) -> Tokenizer:
    """Byte-level pieces of such words, the special tokens first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
