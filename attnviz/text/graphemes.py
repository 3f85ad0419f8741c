"""Graphemes, which readers take for one character: a letter with its marks, a joined emoji, a syllable of Hangul."""


def split_graphemes(text: str) -> list[str]:
    """Cut a text into extended grapheme clusters (Unicode Standard Annex 29); nothing shown may be cut within one."""
    if text.isascii():
        return list(text)
    import regex

    found: list[str] = regex.findall(r"\X", text)
    return found


def split_letters(text: str) -> list[str]:
    """Return the text cut finer: characters that are joined stand apart, each still with its marks."""
    import regex

    found: list[str] = regex.findall(r".[\p{M}\p{Cf}\p{Emoji_Modifier}]*", text, regex.DOTALL)
    return found
