"""Pictures of records, as Python asks for them: figures of matplotlib."""

from matplotlib.figure import Figure

from attnviz.errors import checked, warn
from attnviz.records import HeadMatrix, HeadTable
from attnviz.views.image.fonts import FONT
from attnviz.views.image.head_numbers import head_picture
from attnviz.views.image.pictures import only_picture, show_in_notebook
from attnviz.views.image.style import Style
from attnviz.vocabulary import Orientation


@checked()
def plot(
    attention: HeadMatrix | HeadTable, layout: str = "grid", *, token: str | int | None = None, cmap: str = "ink",
    dpi: int | None = None, log: bool | None = None, title: str | None = None, annotate: bool = False,
    transpose: bool = False, figure_width: str | None = None, font: str | None = None, caption: bool = True,
    colorbar: bool = True, vmax: float | str | None = None,
) -> Figure:  # fmt: skip
    """Return the picture that `attnviz export` saves of a record, as a figure of matplotlib; pyplot has no part in it.

    Of weights, `layout` is "grid" (all heads), "layer" (the heads of one layer) or "head" (one head); a `token`, by its
    word or its position, is drawn in all heads instead. A `HeadTable` has the picture of `--layout heads`. The other
    options are those of the command line. What cannot be shown as it was asked for is a warning. A notebook shows the
    figure; `savefig` saves it.

    Raises:
        UsageError: there is no such layout, colour map or font, or it takes more than one picture.
        TextError: there is no such token.

    Example:
        >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
        >>> attnviz.plot(attention.select(3, 0), "head", annotate=True).savefig("her.pdf")
        >>> attnviz.plot(attention, token="her").get_dpi()
        150
        >>> float(attnviz.plot(attention, figure_width="3.3in").get_figwidth().round(6))
        3.3
    """
    style = Style(
        cmap=cmap, dpi=dpi, log=log, title=title, annotate=annotate, orientation=Orientation(transpose),
        figure_width=figure_width, font=FONT if font is None else font, caption=caption, colorbar=colorbar, vmax=vmax,
    )  # fmt: skip
    if isinstance(attention, HeadTable):
        picture = show_in_notebook(head_picture(attention, style))
    else:
        picture = only_picture(attention, layout, None if token is None else str(token), style)
    for note in picture.notes:
        warn(note)
    return picture.figure
