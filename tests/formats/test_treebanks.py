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
        ("1 Go 0 root", "has 1 column: CoNLL-U has 10"),
        (row("one", "Go", "0", "root"), "Column 1 has 'one', which is not the number of a word"),
        (row("1", "Go", "up", "root"), "Column 7 has 'up', which is not the number of a word"),
        (row("_", "Go", "0", "root"), "Column 1 does not have the number of a word"),
        (row("1", "Go", "7", "obj"), "depends on 7"),
        (row("1", "Go", "-1", "obj"), "depends on -1"),
        (row("1", "Go", "1", "obj"), "depends on itself"),
        (row("1", "", "0", "root"), "Column 2 is empty"),
        (row("2", "Go", "0", "root"), "The number 2 stands where 1 is due"),
        (row("0", "Go", "0", "root"), "The number 0 stands where 1 is due"),
        (row("1.1", "Go", "0", "root"), "The sentence ends before its word 1"),
        (row("1-2", "Go", "_", "_"), "The sentence ends before its word 1"),
        (row("1", "G\udcffo", "0", "root"), "not valid UTF-8: it has the byte 0xff"),
    ],
)
def test_a_malformed_line_is_an_error_with_its_number_and_the_next_sentence_is_read(line: str, said: str) -> None:
    lines = ["# sent_id = 1", line, "", "# only a comment", "", row("1", "Go", "0", "root")]
    wrong, right = read_treebank(f"{each}\n" for each in lines)
    assert isinstance(wrong.found, RecordError) and said in str(wrong.found)
    assert (wrong.line, right.line, right.found.text) == (2, 6, "Go")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("Stop", 2, "The text has no 'Go' there: it goes on with 'Stop'."),
        ("Do go home", 2, "The text has no 'Go' there: it goes on with 'Do'."),
        ("Go right home", 3, "The text has no 'home' there: it goes on with 'right'."),
        ("Go", 3, "The text has no 'home' there: it has ended."),
        ("Go home now !", 3, "The text goes on after its last word, with 'now'."),
    ],
)
def test_words_that_are_not_those_of_the_text_are_an_error_with_the_line_of_the_first(
    text: str, line: int, said: str
) -> None:
    (entry,) = read_treebank([f"# text = {text}\n", row("1", "Go", "0", "root"), row("2", "home", "1", "advmod")])
    assert (entry.line, str(entry.found)) == (line, said)


@pytest.mark.parametrize(
    ("numbers", "line", "said"),
    [
        ("1 3", 2, "The number 3 stands where 2 is due"),
        ("1 1", 2, "The number 1 stands where 2 is due"),
        ("1 2-3 2", 3, "The sentence ends before its word 3"),
        ("1 3-4 2", 2, "The number 3 stands where 2 is due"),
        ("1-3 1 2-3 2 3", 3, "Word 2 shares a token already"),
        ("1 2 2-3 3", 3, "The number 2 stands where 3 is due"),
    ],
)
def test_words_count_from_1_on_and_what_they_share_stands_before_them(numbers: str, line: int, said: str) -> None:
    rows = [row(number, "a", "_" if "-" in number else "0", "dep") for number in numbers.split()]
    (entry,) = read_treebank(rows)
    assert entry.line == line and said in str(entry.found)


def test_two_blanks_in_a_word_part_no_columns() -> None:
    assert parse(row("1", "10  000", "0", "root")).text == "10  000"


def test_pairs_are_lines_of_three_columns_with_or_without_a_header() -> None:
    lines = ["text\tfrom\tto\n", "a dog barks\tbarks\tdog\r\n", "\n", "a\tb\n", "a\tb\tc\td\n"]
    first, *wrong = read_pairs(lines)
    assert (first.line, first.found) == (2, ("a dog barks", "barks", "dog"))
    assert [(entry.line, str(entry.found)[:22]) for entry in wrong] == [
        (4, "The line has 2 columns"),
        (5, "The line has 4 columns"),
    ]
    assert [entry.line for entry in read_pairs(lines[1:2])] == [1]


def test_a_header_may_give_the_columns_another_order_and_others_beside_them() -> None:
    lines = ["\n", "From\tto\tsource\tText\n", "it\tdog\t\ta dog and it\n", "it\tdog\ta dog\n", "it\t\tx\ta dog\n"]
    right, short, empty = read_pairs(lines)
    assert (right.line, right.found) == (3, ("a dog and it", "it", "dog"))
    assert (short.line, str(short.found)[:48]) == (4, "The line has 3 columns, and the header has 4: gi")
    assert (empty.line, str(empty.found)[:28]) == (5, "The line has an empty column")


def test_a_line_of_pairs_that_is_not_utf8_is_an_error_and_the_next_is_read() -> None:
    wrong, right = read_pairs(["a d\udce9g\ta\tdog\n", "a dog\ta\tdog\n"])
    assert (wrong.line, "the byte 0xe9" in str(wrong.found)) == (1, True)
    assert (right.line, right.found) == (2, ("a dog", "a", "dog"))
