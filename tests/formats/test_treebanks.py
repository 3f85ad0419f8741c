import pytest

from attnviz.errors import RecordError
from attnviz.formats.treebanks import read_pairs, read_treebank
from attnviz.text import GoldWord, ParsedText


def row(number: str, form: str, head: str, relation: str, misc: str = "_") -> str:
    return "\t".join([number, form, "_", "_", "_", "_", head, relation, "_", misc])


def parse(*lines: str) -> ParsedText:
    (entry,) = read_treebank(f"{line}\n" for line in lines)
    assert isinstance(entry.found, ParsedText), entry.found
    return entry.found


def test_words_stand_where_the_text_has_them() -> None:
    rows = ("1", "It", "3", "nsubj"), ("2", "'s", "3", "cop"), ("3", "it", "0", "root"), ("4", ".", "3", "punct")
    found = parse("# text = It's  it.", *(row(*each) for each in rows))
    assert found.text == "It's  it."
    assert found.words == [
        GoldWord((0, 2), "nsubj", 2),
        GoldWord((2, 4), "cop", 2),
        GoldWord((6, 8), "root", None),
        GoldWord((8, 9), "punct", 2),
    ]


def test_a_text_that_is_not_told_is_that_of_the_words() -> None:
    assert parse(row("1", "Go", "0", "root", "SpaceAfter=No"), row("2", "!", "1", "punct")).text == "Go!"


def test_words_that_share_a_token_stand_where_it_does_and_empty_nodes_are_left_out() -> None:
    lines = (row("1", "vient", "0", "root"), row("2-3", "du", "_", "_"), row("2", "de", "4", "case"),
             row("3", "le", "4", "det"), row("3.1", "rien", "_", "_"), row("4", "lac", "1", "obl"))  # fmt: skip
    found = parse(*lines)
    assert found.text == "vient du lac"
    assert [(word.span, word.governor) for word in found.words] == [
        ((0, 5), None),
        ((6, 8), 3),
        ((6, 8), 3),
        ((9, 12), 0),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 Go 0 root", "has 1 columns: CoNLL-U has 10"),
        (row("one", "Go", "0", "root"), "'one' is not a valid ID"),
        (row("1", "Go", "up", "root"), "'up' is not a valid"),
        (row("1", "Go", "7", "obj"), "depends on 7"),
    ],
)
def test_a_malformed_line_is_an_error_with_its_number_and_the_next_sentence_is_read(line: str, said: str) -> None:
    lines = ["# sent_id = 1", line, "", "# only a comment", "", row("1", "Go", "0", "root")]
    wrong, right = read_treebank(f"{each}\n" for each in lines)
    assert isinstance(wrong.found, RecordError) and said in str(wrong.found)
    assert (wrong.line, right.line, right.found.text) == (2, 6, "Go")


def test_a_word_that_the_text_lacks_is_an_error() -> None:
    (entry,) = read_treebank(["# text = Stop\n", row("1", "Go", "0", "root")])
    assert entry.line == 2 and "no 'Go'" in str(entry.found)


def test_pairs_are_lines_of_three_columns_with_or_without_a_header() -> None:
    lines = ["text\tfrom\tto\n", "a dog barks\tbarks\tdog\r\n", "\n", "a\tb\n", "a\tb\tc\td\n"]
    first, *wrong = read_pairs(lines)
    assert (first.line, first.found) == (2, ("a dog barks", "barks", "dog"))
    assert [(entry.line, str(entry.found)[:22]) for entry in wrong] == [
        (4, "The line has 2 columns"),
        (5, "The line has 4 columns"),
    ]
    assert [entry.line for entry in read_pairs(lines[1:2])] == [1]
