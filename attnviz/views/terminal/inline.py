"""Pictures in a terminal: PNG by a protocol that it knows, else the weights in half blocks."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import ControlType, Segment
from rich.text import Text

from attnviz.text import Token
from attnviz.views.report import Glance, HeadWeights
from attnviz.views.terminal.cells import GAP, TOKEN_WIDTH, aligned, fitted, flowing, widest
from attnviz.views.terminal.matrix import label
from attnviz.views.terminal.thumbnails import Brush, brush_of, pool
from attnviz.vocabulary import Layout, Orientation, PictureProtocol

_CHUNK = 4096  # characters that Kitty takes at a time
_PIXELS = 15  # of a picture's width for each column that it takes
_WIDEST, _HIGHEST = 72, 30  # columns and lines of blocks
_SQUARE = 2  # columns that are as wide as a line is high
_WIDTH_OF_PNG = slice(16, 20)  # bytes of its header (ISO/IEC 15948, 11.2.2)


def _for_kitty(png: bytes, columns: int) -> Iterator[str]:
    """Yield a picture in Kitty's graphics protocol (https://sw.kovidgoyal.net/kitty/graphics-protocol)."""
    data = b64encode(png).decode()
    for first in range(0, len(data), _CHUNK):
        keys = "" if first else f"a=T,f=100,q=2,c={columns},"
        yield f"\x1b_G{keys}m={int(first + _CHUNK < len(data))};{data[first : first + _CHUNK]}\x1b\\"


def _for_iterm2(png: bytes, columns: int) -> Iterator[str]:
    """Yield a picture in iTerm2's protocol (https://iterm2.com/documentation-images.html)."""
    yield f"\x1b]1337;File=inline=1;size={len(png)};width={columns};preserveAspectRatio=1:{b64encode(png).decode()}\x07"


_WRITERS: Mapping[PictureProtocol, Callable[[bytes, int], Iterator[str]]] = {
    PictureProtocol.KITTY: _for_kitty,
    PictureProtocol.ITERM2: _for_iterm2,
}


def inline_picture(
    section: Glance | HeadWeights, protocol: PictureProtocol, console: Console, options: ConsoleOptions
) -> RenderResult:
    """Yield the picture of one head, or of all heads, in at most the width of the console."""
    if protocol is not PictureProtocol.BLOCKS:
        png = _draw(section)
        columns = min(int.from_bytes(png[_WIDTH_OF_PNG]) // _PIXELS, options.max_width)
        for sequence in _WRITERS[protocol](png, columns):
            yield Segment(sequence, None, [(ControlType.BELL,)])  # a control is written as it is, and takes no room
        yield Text()
        return
    assert isinstance(section, HeadWeights)
    brush = brush_of(console, options)
    yield from _draw_blocks(section, brush, options.max_width)
    yield from flowing([Text("weight from"), *brush.legend()], options.max_width)


def _draw_blocks(section: HeadWeights, brush: Brush, width: int) -> Iterator[Text]:
    """Yield the weights as blocks, the name of a row before each line and those of columns above.

    Columns are numbered by the positions of their tokens where names do not fit; tokens that are not the rows too are
    listed below. Of more rows or columns than there is room for, several share a block, named by the first of them.
    """
    one = section.attention
    weights = section.orientation.turn(one.weights[0, 0])
    down, across = section.orientation.axes(one.query_tokens, one.key_tokens)
    per_line = 1 if len(down) <= _HIGHEST else brush.tall  # rows of blocks in a line
    rows = min(len(down), _HIGHEST * per_line)
    named = [down[row * len(down) // rows] for row in range(0, rows, per_line)]
    digits = len(str(max(token.position for token in down)))
    labels = list(aligned([label(token, digits, TOKEN_WIDTH) for token in named], GAP))
    room = max(min(width - labels[0].cell_len, _WIDEST), 1)
    columns = min(len(across), room)
    names, cell = _name_columns(across, columns, room)
    yield Text(" " * labels[0].cell_len, "dim").append(names)
    blocks = pool(weights, rows, columns).repeat(brush.tall // per_line, 0).repeat(cell, 1)
    for beginning, line in zip(labels, brush.paint(blocks), strict=True):
        yield beginning.append_text(line)
    if {*across} - {*down} and columns == len(across):
        yield from flowing([Text("columns")] + [Text(f"{token.position} {token.label}") for token in across], width)


def _name_columns(tokens: Sequence[Token], columns: int, room: int) -> tuple[str, int]:
    """Return the names of so many columns, or the positions of as many as fit, and how wide a column is."""
    longest = max(widest(token.label) for token in tokens) + 1
    if longest * len(tokens) <= room:
        return "".join(fitted(token.label).ljust(longest) for token in tokens).rstrip(), longest
    cell, line = min(room // columns, max(_SQUARE, len(str(tokens[-1].position)) + 1)), ""
    for column in range(columns):
        number = str(tokens[column * len(tokens) // columns].position)
        if (column * cell > len(line) or not line) and column * cell + len(number) <= room:
            line = line.ljust(column * cell) + number
    return line, cell


def _draw(section: Glance | HeadWeights) -> bytes:
    """Return the picture that `attnviz export` saves of this section, as PNG."""
    from attnviz.views.image.pictures import LAYOUTS, render  # matplotlib
    from attnviz.views.image.style import Style

    layout, way = Layout.GRID, Orientation.QUERIES_DOWN
    if isinstance(section, HeadWeights):
        layout, way = Layout.HEAD, section.orientation
    return render(next(iter(LAYOUTS[layout](section.attention, Style(orientation=way)))).figure, "png")


if __name__ == "__main__":
    from attnviz.views.example import example_attention

    screen = Console(highlight=False)
    head = HeadWeights(example_attention().select([1], [2]), None, 5, Orientation.QUERIES_DOWN)
    screen.print(*inline_picture(head, PictureProtocol.BLOCKS, screen, screen.options), sep="\n")
