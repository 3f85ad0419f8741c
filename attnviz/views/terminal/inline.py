"""Pictures in a terminal: PNG by a protocol that it knows, else the weights in half blocks."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import ControlType, Segment
from rich.text import Text

from attnviz.views.report import Glance, HeadWeights
from attnviz.views.terminal.cells import flowing
from attnviz.views.terminal.thumbnails import brush_of
from attnviz.vocabulary import Layout, Orientation, PictureProtocol

_CHUNK = 4096  # characters that Kitty takes at a time
_PIXELS = 15  # of a picture's width for each column that it takes
_WIDEST, _HIGHEST = 72, 30  # columns and lines of half blocks
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
    brush, weights = brush_of(console, options), section.orientation.turn(section.attention.weights[0, 0])
    yield from brush.draw(weights, min(options.max_width, _WIDEST), _HIGHEST)
    yield from flowing([Text("weight from"), *brush.legend()], options.max_width)


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
