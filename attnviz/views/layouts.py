"""What pictures there are to choose from; nothing is imported, so that the command line can list them at once."""

from enum import Enum

IMAGE_FORMATS = "png", "svg", "pdf"


class Layout(Enum):
    """How the heads of a record are spread over pictures."""

    HEAD = "head"
    LAYER = "layer"
    GRID = "grid"
