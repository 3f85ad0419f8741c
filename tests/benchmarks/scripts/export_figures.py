"""A picture of one head for each line of a file, by attnviz: `export_figures LINES FOLDER`."""

import sys
from pathlib import Path

from attnviz.records import Attention
from attnviz.text import make_special_token
from attnviz.views.image.pictures import LAYOUTS, render
from attnviz.views.image.style import Style
from attnviz.vocabulary import Kind, Layout
from tests.benchmarks.scripts.example import heads

lines, folder = map(Path, sys.argv[1:])
folder.mkdir(exist_ok=True)
for number, (names, weights) in enumerate(heads(lines)):
    tokens = tuple(make_special_token(name, position) for position, name in enumerate(names))
    record = Attention(
        kind=Kind.ENCODER,
        layers=(0,),
        heads=(0,),
        query_tokens=tokens,
        key_tokens=tokens,
        model="random",
        weights=weights[None, None],
    )
    (picture,) = LAYOUTS[Layout.HEAD](record, Style())
    (folder / f"{number:03}.png").write_bytes(render(picture.figure, "png"))
