"""Function words of English and French: words that hold a sentence together and say little of what it is about."""

_DETERMINERS = "a an the this that these those some any no each every un une le la les l du des ce cet cette ces"
_PREPOSITIONS = (
    "of in on at by for with from to into over under about after before between through near up down off out during "
    "against without within along across around behind above below de d à au aux dans sur sous par avec chez vers sans"
)
_CONJUNCTIONS = (
    "and or but nor so yet if because when while although though as than then that which who whom whose where whether "
    "et ou mais donc que qu qui dont où quand parce lorsque"
)
_AUXILIARIES = (
    "is are was were be been being am do does did have has had will would shall should can could may might must "
    "est sont était étaient a ont avait avaient sera seront"
)
_PARTICLES = "not too very also just only there ne n pas très trop"
_PERSONAL = (
    "i you he she it we they me him us them my your his her its our their mine yours hers ours theirs myself himself "
    "herself itself ourselves themselves je tu il elle nous vous ils elles lui leur leurs sa ses ma mes ta tes se"
)

_FUNCTION_WORDS = frozenset(" ".join((_DETERMINERS, _PREPOSITIONS, _CONJUNCTIONS, _AUXILIARIES, _PARTICLES)).split())
_PRONOUNS = frozenset(_PERSONAL.split())
_NEGATED = "n't", "n’t"


def is_function_word(word: str) -> bool:
    """Return whether a word is a determiner, a preposition, a conjunction, an auxiliary or a particle.

    Example:
        >>> [word for word in "The animal didn't cross it".split() if is_function_word(word)]
        ['The', "didn't"]
    """
    word = word.casefold()
    return word.strip("'’") in _FUNCTION_WORDS or word.endswith(_NEGATED)


def is_pronoun(word: str) -> bool:
    """Return whether a word is a personal or possessive pronoun, which stands for another word.

    Example:
        >>> is_pronoun("her"), is_pronoun("Mary")
        (True, False)
    """
    return word.casefold() in _PRONOUNS
