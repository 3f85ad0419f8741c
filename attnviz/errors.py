"""The exceptions of attnviz: whatever a user can cause ends in one of these.

Each message is a sentence that says what was wrong and what to do. It is raised where the problem is known and shown
once, by the command line. Where it tells to give or leave out an option, it holds that as a hint: Python and the
command line write options in two ways.
"""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from numbers import Integral, Real
from os import PathLike
from string import Formatter
from typing import TYPE_CHECKING, NoReturn, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from inspect import Signature

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")

_LONGEST = 60  # characters of what was given, in a message

HOW_TO_CUT = "Cut it into shorter texts, such as a sentence on each line (fold -s -w 1000 does it roughly)."
"""The advice for any text that is too long."""


WriteOption = Callable[[str, str], str]
"""Write an option, by its name in Python and the value to give it, "" for none."""


def write_in_python(name: str, value: str) -> str:
    """Write an option as an argument in Python: `name`, or `name="value"`."""
    if value and not (value.isdecimal() or value in ("True", "False")):
        value = f'"{value}"'
    return f"`{name}={value}`" if value else f"`{name}`"


class Advice(str):
    """A sentence with a hint that names options; as a string it has them as in Python.

    The hint is a template, such as "leave {pair} out, or use {dtype:bfloat16}."; the text before it stands as it is.
    Joined to text by + it stays advice, while an f-string makes mere text of it.
    """

    template: str

    def __new__(cls, text: str, hint: str = "") -> Self:
        """Put the hint after the text, which may be advice too."""
        template = " ".join(part for part in (_template(text), hint) if part)
        advice = super().__new__(cls, _fill_template(template, write_in_python))
        advice.template = template
        return advice

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """Return the arguments that make it again when it is unpickled."""
        return "", self.template

    def __add__(self, text: str) -> "Advice":
        """Return it with a text after it."""
        return Advice("", self.template + _template(text))

    def __radd__(self, text: str) -> "Advice":
        """Return it with a text before it."""
        return Advice("", _template(text) + self.template)


def write_options(said: str, option: WriteOption) -> str:
    """Return a message with its options written by `option`; a message that is no advice names none."""
    return _fill_template(said.template, option) if isinstance(said, Advice) else said


def _template(said: str) -> str:
    return said.template if isinstance(said, Advice) else said.replace("{", "{{").replace("}", "}}")


def _fill_template(template: str, option: WriteOption) -> str:
    parts = Formatter().parse(template)
    return "".join(text + (option(name, value or "") if name else "") for text, name, value, _ in parts)


INTERRUPTS = KeyboardInterrupt, SystemExit, GeneratorExit
"""What ends a run and is no error; whatever else is no Exception is what a library in Rust panics with."""


_raised: list[BaseException] = []


def interrupt(error: BaseException) -> NoReturn:
    """Raise an interrupt, and remember it: a library in another language may lose it, and raise an error in its place.

    What fails from now on while all is cleaned up is not said.
    """
    _raised.append(error)
    sys.unraisablehook = lambda _: None
    raise error


def find_interrupt(error: BaseException | None) -> BaseException | None:
    """Return the interrupt that an error is, or that came before it was raised; None if there was none."""
    found = error
    while found is not None and not isinstance(found, KeyboardInterrupt | SystemExit):
        found = found.__context__
    return found or next(iter(_raised if error else ()), None)


class AttnvizError(Exception):
    """Something that a user can cause and mend; its advice says both."""

    exit_code = 1

    def __init__(self, text: str, hint: str = "") -> None:
        self.advice = Advice(text, hint)
        super().__init__(self.advice)


class UsageError(AttnvizError):
    """The request itself cannot be met, whatever the text: an option out of range, two that exclude each other."""

    exit_code = 2


class MissingTextError(UsageError):
    """No text was given, and nothing is piped in."""


class InputError(AttnvizError):
    """A file that cannot be read."""


class TextError(AttnvizError):
    """A text that cannot be read: empty, too long for the model, not valid Unicode."""


class UnfitTextError(TextError, UsageError):
    """The request cannot be met for this one text, such as one of a single token; the next text may do."""


class ModelError(AttnvizError):
    """A model that cannot be found or loaded, or that yields no attention."""


class RecordError(AttnvizError):
    """An attention record that breaks its own promises: shapes, finite, non-negative, rows that sum to 1."""


class RowError(RecordError):
    """A row of finite numbers that is no distribution."""


class OutputError(AttnvizError):
    """A result that cannot be written where it was asked for."""


class ProcessError(AttnvizError):
    """A process that was started to share the work, and has ended too soon."""


@contextmanager
def refused(name: object, what: str, kind: type[AttnvizError]) -> Iterator[None]:
    """Say in a sentence why a file of this name cannot be `what`, such as "read".

    Raises:
        AttnvizError: the system refuses it; the error is of this `kind`.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"{name} cannot be {what}: {error.strerror}.") from error


def warn(note: str) -> None:
    """Warn of something, as of the line outside attnviz that has called it."""
    calls, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "attnviz":
        calls, frame = calls + 1, frame.f_back
    warnings.warn(note, stacklevel=calls)


def require(given: object, kind: type, how: str) -> None:
    """Refuse what a caller from Python gives, if it is of another type; `how` says what to give.

    Raises:
        UsageError: it is.
    """
    if not isinstance(given, kind):
        raise UsageError(f"This takes {kind.__name__}, not {type(given).__name__}: {how}")


_Argument = tuple[str, Callable[[object], bool]]
"""What an argument takes, in words, and the check of that."""


def _is_whole(given: object, least: int = 0) -> bool:
    return isinstance(given, Integral) and not isinstance(given, bool) and int(given) >= least


def _is_index(given: object) -> bool:
    return _is_whole(given, -1)  # which stands for an average


def _holds(given: object, check: Callable[[object], bool]) -> bool:
    return isinstance(given, Iterable) and all(map(check, given))


_TEXT: _Argument = "a text", lambda given: isinstance(given, str)
_FLAG: _Argument = "True or False", lambda given: isinstance(given, bool)
_NAMES: _Argument = "names, each a text", lambda given: _holds(given, _TEXT[1])
_FROM_1: _Argument = "a whole number, at least 1", lambda given: _is_whole(given, 1)
_INDICES: _Argument = "a whole number, or several", lambda given: _is_index(given) or _holds(given, _is_index)

_ARGUMENTS: Mapping[str, _Argument] = {
    **dict.fromkeys(
        ("text", "name", "model", "device", "dtype", "revision", "layout", "cmap", "title", "figure_width", "font"),
        _TEXT,
    ),
    **dict.fromkeys(("source_language", "target_language"), _TEXT),
    **dict.fromkeys(("offline", "trust_remote_code", "chat", "added_tokens", "bos", "truncate", "sink"), _FLAG),
    **dict.fromkeys(("log", "annotate", "transpose", "caption", "colorbar"), _FLAG),
    **dict.fromkeys(("tokens", "keys"), _NAMES),
    **dict.fromkeys(("layers", "heads"), _INDICES),
    **dict.fromkeys(("top", "bins"), _FROM_1),
    "count": ("a whole number, or None for all", lambda given: given is None or _is_whole(given)),
    "generate": ("a whole number from 0 on", _is_whole),
    "vmax": ("a number, or auto", lambda given: isinstance(given, Real | str) and not isinstance(given, bool)),
    "dpi": ("a number", lambda given: isinstance(given, Real) and not isinstance(given, bool)),
    "token": ("a word, or the position of a token", lambda given: isinstance(given, str) or _is_whole(given)),
    "path": ("the name of a file", lambda given: isinstance(given, str | PathLike)),
    "fail": ("a function", callable),
}
"""What the arguments of the public functions take, by their names; one whose default is None may be None."""


def check_argument(name: str, given: object) -> None:
    """Refuse what a caller from Python gives for the argument of this name, if it is something else.

    Raises:
        UsageError: it is.
    """
    what, check = _ARGUMENTS[name]
    if not check(given):
        raise UsageError(f"`{name}` takes {what}, not {_shortly(given)}.")


@cache
def _find_signature(function: Callable[..., object]) -> "Signature":
    from inspect import signature  # as late as can be: an interrupt before the command begins is not silent

    return signature(function)


def checked(*others: str) -> Callable[[Callable[_Given, _Returned]], Callable[_Given, _Returned]]:
    """Return a decorator: a function refuses arguments that are something else than their names say.

    The `others` are arguments that have another meaning in this function, and are left to it.

    Raises:
        UsageError: one is, when the function is called.
    """

    def decorate(function: Callable[_Given, _Returned]) -> Callable[_Given, _Returned]:
        @wraps(function)
        def called(*args: _Given.args, **kwargs: _Given.kwargs) -> _Returned:
            taken = _find_signature(function)
            for name, given in taken.bind(*args, **kwargs).arguments.items():
                left_out = given is None and taken.parameters[name].default is None
                if name in _ARGUMENTS and name not in others and not left_out:
                    check_argument(name, given)
            return function(*args, **kwargs)

        return called

    return decorate


def _shortly(given: object) -> str:
    said = repr(given)
    return said if len(said) <= _LONGEST else type(given).__name__
