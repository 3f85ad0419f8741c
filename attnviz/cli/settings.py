"""Settings of commands in which some of their options have no effect."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from attnviz.formats.writing import FILES
from attnviz.measures.circuits import CIRCUITS
from attnviz.pipeline.arguments import ARRAYS, names_saved
from attnviz.pipeline.files import find_format
from attnviz.vocabulary import IMAGE_FORMATS, OF_NUMBERS, PAGE_FORMATS

Values = Mapping[str, Any]
"""The values of all options of a command, by the names of its parameters."""

ANYWHERE = "color", "width", "debug", "quiet", "help"
"""Options on how to print: they may be given where nothing is printed that they change."""

LOOKS = "cmap", "dpi", "figure_width", "font", "log", "vmax", "title", "no_caption", "no_colorbar", "annotate"
"""Options on the look of a picture of any layout."""

SHAPE = "d_model", "heads", "layers", "key_heads", "head_width"
"""Options that are the shape of a model, in place of its name."""

_OF_PAGES = "log", "title", "transpose"
"""Options on the look of a picture, or on how a page opens."""


class Setting(Struct, frozen=True, kw_only=True):
    """A setting of a command: whether it `holds`, in words, and the options that have no effect in it.

    These are the `idle` ones, or all but `used`; `instead` is another way to mend it than to leave them out.
    """

    words: str
    holds: Callable[[Values], Any]
    idle: Collection[str] = ()
    used: Collection[str] = ()
    instead: str = ""

    def find_idle(self, given: Sequence[str]) -> list[str]:
        """Return those of the given options that have no effect in this setting."""
        if self.used:
            return [name for name in given if name not in (*self.used, *ANYWHERE)]
        return [name for name in given if name in self.idle]


def _with(
    flag: str, option: str, idle: Collection[str] = (), *, used: Collection[str] = (), instead: str = ""
) -> Setting:
    """Return the setting in which the option that is typed as this flag is given."""
    return Setting(words=f"with {flag}", holds=lambda values: values[option], idle=idle, used=used, instead=instead)


def _without(flag: str, option: str, idle: Collection[str], *, instead: str = "") -> Setting:
    """Return the setting in which the option that is typed as this flag is not given."""
    return Setting(words=f"without {flag}", holds=lambda values: not values[option], idle=idle, instead=instead)


def _is_data(values: Values) -> bool:
    return values["form"] not in ("table", "text")


def _is_file(values: Values) -> bool:
    """Return whether one file is written: standard output, or one whose name ends in a format."""
    return str(values["output"]) == "-" or find_format(values["output"]) in (*IMAGE_FORMATS, *FILES, *PAGE_FORMATS)


def _is_drawn(values: Values) -> bool:
    """Return whether a picture is among the files that are written."""
    return bool(_formats(values) - {*FILES, *PAGE_FORMATS})


def _is_page(values: Values) -> bool:
    """Return whether a page is among the files that are written."""
    return bool(_formats(values) & {*PAGE_FORMATS})


def _formats(values: Values) -> set[str]:
    """Return the formats of the files that are written, as far as they are told; else it is a picture."""
    return {*(values["forms"] or [find_format(values["output"])])}


def _are_saved(values: Values) -> bool:
    """Return whether there is nothing but saved weights to read, as far as the names tell."""
    texts, file = values["texts"] or (), values["file"]
    if values.get("chat"):  # then JSON is a text
        return False
    return all(map(names_saved, texts)) if texts else file is not None and Path(file).suffix.lower() in ARRAYS


def _is_one_comparison(values: Values) -> bool:
    """Return whether no more than two texts, or one under two models, are compared, as far as the arguments tell."""
    texts: Sequence[str] = values["texts"] or ()
    if len(values["model"]) > 1:
        return len(texts) == 1 and texts[0] != "-" and not names_saved(texts[0])
    return not (len(texts) == 2 and all(map(names_saved, texts)))


def _are_generated(values: Values) -> bool:
    """Return whether numbers are among those wanted that no text gives."""
    return bool(values["probe"] or {*(values["stat"] or ())} & {*CIRCUITS})


def _are_only_generated(values: Values) -> bool:
    """Return whether no text is read, because none was given and all numbers wanted do without."""
    told = values["texts"] or values["file"] or {*(values["stat"] or ())} - {*CIRCUITS}
    return _are_generated(values) and not told


_ADDING = "no_added_tokens", "bos", "generate", "max_new_tokens"
_READING = "whole_file", "paragraphs", "pair", "target", "truncate", "window", "chat", *_ADDING
"""Options on how texts are read."""

_MODEL = "model", "engine", "device", "dtype", "revision", "offline", "trust_remote_code"
_LANGUAGES = "source_language", "target_language"
_DATA_INSTEAD = "choose --format table"
_STEPS = "steps", "only_what_if"
_OF_MATRICES = "log", "annotate", "transpose", "vmax", "no_colorbar"
_OF_WEIGHTS = "token", "rows", "by", "mean", "no_special", "force", *_OF_MATRICES
_COMPARISONS = "matrices", "scores", "hard", "no_scale", "no_mask", "no_positions", "permute", "untrained", "online"
_TOY = "heads", "mask", "positions", "seed"

_OF_TEXTS = (
    Setting(
        words="for texts that are arguments",
        holds=lambda values: values["texts"] and values["texts"] != ["-"],
        idle=("whole_file", "paragraphs"),
        instead="name a file with --file",
    ),
    _with("--whole-file", "whole_file", ("paragraphs",)),
    Setting(words="with --target", holds=lambda values: values["target"] is not None, idle=("max_new_tokens",)),
    Setting(words="for saved weights", holds=_are_saved, idle=(*_MODEL, *_LANGUAGES, "whole_file", "paragraphs")),
)

SETTINGS: Mapping[str, Sequence[Setting]] = {
    "show": (
        *_OF_TEXTS,
        _with(
            "--open",
            "in_browser",
            ("form", "every", "top", "all_rows", "picture", "protocol"),
            instead="leave --open out",
        ),
        Setting(
            words="with --format {form}",
            holds=_is_data,
            idle=("every", "top", "all_rows", "picture", "protocol", "transpose"),
            instead=_DATA_INSTEAD,
        ),
        Setting(
            words="with --token",
            holds=lambda values: values["token"] and not values["in_browser"],
            idle=("every", "picture", "protocol", "transpose"),
        ),
        _with("--picture", "picture", ("all_rows",)),
        _without("--picture", "picture", ("protocol",), instead="give --picture too"),
    ),
    "export": (
        *_OF_TEXTS,
        Setting(
            words="without a picture",
            holds=lambda values: not _is_drawn(values),
            idle=[name for name in LOOKS if name not in _OF_PAGES],
            instead="save one (--format png)",
        ),
        Setting(
            words="without a picture or a page",
            holds=lambda values: not (_is_drawn(values) or _is_page(values)),
            idle=_OF_PAGES,
            instead="save one (--format png, or --format html)",
        ),
        Setting(
            words="for a page, which shows all heads",
            holds=lambda values: _formats(values) <= {*PAGE_FORMATS},
            idle=("layout", "stat"),
            instead="save a picture (--format png)",
        ),
        Setting(words="for a single file", holds=_is_file, idle=("jobs", "force"), instead="give -o a folder"),
        Setting(
            words="with --token", holds=lambda values: values["token"] and not _is_page(values), idle=("transpose",)
        ),
        Setting(
            words="with --layout heads, which draws numbers and not weights",
            holds=lambda values: values["layout"] == OF_NUMBERS and _is_drawn(values),
            idle=_OF_WEIGHTS,
        ),
        Setting(
            words="without --layout heads",
            holds=lambda values: values["layout"] != OF_NUMBERS or not _is_drawn(values),
            idle=("stat",),
            instead="give --layout heads too",
        ),
    ),
    "heads": (
        _with("--list", "listing", used=("listing", "texts")),
        *_OF_TEXTS,
        Setting(words="with --format {form}", holds=_is_data, idle=("every", "sort", "top"), instead=_DATA_INSTEAD),
        _with("--all", "every", ("top",)),
        _without("--probe", "probe", ("tokens", "seed"), instead="add --probe induction"),
        Setting(words="where no text is read", holds=_are_only_generated, idle=(*_READING, "jobs", "memory", "each")),
        Setting(words="with numbers that read no text", holds=_are_generated, idle=("each",)),
        Setting(words="for saved weights", holds=_are_saved, idle=("probe",)),
    ),
    "find": (
        *_OF_TEXTS,
        Setting(words="with --format {form}", holds=_is_data, idle=("every", "top"), instead=_DATA_INSTEAD),
        _with("--all", "every", ("top",)),
        Setting(
            words="with --pairs or --relations",
            holds=lambda values: values["pairs"] or values["relations"],
            idle=("whole_file", "paragraphs"),
        ),
    ),
    "compare": (
        *_OF_TEXTS,
        Setting(
            words="with --format {form}",
            holds=lambda values: _is_data(values) and not values["output"],
            idle=("every", "top", "token", "all_rows"),
            instead=_DATA_INSTEAD,
        ),
        Setting(
            words="without a picture",
            holds=lambda values: values["output"] and find_format(values["output"]) in FILES,
            idle=LOOKS,
            instead="give -o a file that ends in .png",
        ),
        _without("-o", "output", ("layout", *LOOKS, "stat"), instead="save a picture with -o"),
        _with("-o", "output", ("every", "top", "form", "all_rows", "color", "width")),
        Setting(
            words="for one comparison",
            holds=_is_one_comparison,
            idle=("jobs",),
            instead="compare two models over many texts",
        ),
    ),
    "verify": (
        _with("--list", "listing", used=("listing", "model")),
        _without(
            "--model",
            "model",
            ("engine", "device", "dtype", "revision", "trust_remote_code", *_LANGUAGES),
            instead="name a model",
        ),
    ),
    "explain": (
        _with("--words, which lists the whole glossary", "words", used=("words", "form")),
        Setting(
            words="with --toy, which explains vectors and not a text",
            holds=lambda values: values["toy"] or values["vectors"],
            used=("toy", "vectors", *_TOY, "token", "head", *_STEPS, *_COMPARISONS, "form"),
        ),
        Setting(
            words="without --toy",
            holds=lambda values: not (values["toy"] or values["vectors"]),
            idle=_TOY,
            instead="give --toy too",
        ),
        _with("--only-what-if", "only_what_if", ("steps",)),
        Setting(
            words="without a comparison",
            holds=lambda values: not any(values[name] for name in _COMPARISONS) and "," not in values["positions"],
            idle=("only_what_if",),
            instead="add one, such as --no-scale",
        ),
        *_OF_TEXTS,
        Setting(
            words="in explain",
            holds=lambda values: True,
            idle=("window",),
            instead="read the beginning of the text with --truncate",
        ),
    ),
    "cost": (
        _without("--measure", "measure", ("longest", "output"), instead="give --measure too"),
        _without(
            "-o",
            "output",
            ("figure_width", "dpi", "font", "title", "no_caption"),
            instead="save a picture with -o",
        ),
        Setting(
            words="for a shape without a model",
            holds=lambda values: any(values[name] is not None for name in SHAPE),
            idle=("model", "revision", "offline"),
            instead="leave {shape} out",
        ),
    ),
}
"""The settings of each command in which some of its options have no effect."""
