"""Learning the built-in models' tokenizer: byte-level subwords (Sennrich et al. 2016; Radford et al. 2019, 2.2)."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

PAD, CLS, SEP, MASK = SPECIAL = "[PAD]", "[CLS]", "[SEP]", "[MASK]"

_WORD = r"\w+(['’]\w+)*"


def learn_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A tokenizer whose pieces are learned on these texts, and which falls back on bytes for whatever is not in them.

    Letter case is ignored; pieces never cross the edge of a word, and blanks belong to none.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(_WORD), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}", special_tokens=[(name, SPECIAL.index(name)) for name in (CLS, SEP)]
    )
    return tokenizer
