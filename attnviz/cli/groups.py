"""Options that several commands share, kept together in records.

A command that has a parameter of such a class has an option for each field of it. In the command's help they stand
under the heading that the class has in `HEADING`.
"""

from collections.abc import Callable
from copy import copy
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, get_args, get_type_hints

from typer.core import TyperCommand
from typer.exceptions import TyperException
from typer.models import OptionInfo

from attnviz.cli.options import Debug, Quiet
from attnviz.errors import MissingTextError, UsageError

_HEADING = "rich_help_panel"  # where typer keeps the heading of an option, though only rich's help would show it


_EVERYWHERE = {"debug": Debug, "quiet": Quiet}
"""The options of every command, which have done their work once they are parsed."""


def group_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of the records among its parameters, and those of every command."""
    parameters = signature(command).parameters
    annotations = {name: parameter.annotation for name, parameter in parameters.items()}
    groups = {name: cls for name, cls in annotations.items() if hasattr(cls, "HEADING")}

    @wraps(command)
    def called(**values: Any) -> None:
        for name in _EVERYWHERE:
            del values[name]
        made = {name: cls(**{f: values.pop(f) for f in signature(cls).parameters}) for name, cls in groups.items()}
        command(**made, **values)

    expanded = [new for name, old in parameters.items() for new in _options(groups.get(name), old)]
    expanded += [_make_parameter(name, annotation, False) for name, annotation in _EVERYWHERE.items()]
    called.__signature__ = signature(command).replace(parameters=expanded)  # type: ignore[attr-defined]
    return called


def _options(group: type[Any] | None, parameter: Parameter) -> list[Parameter]:
    """Return the parameters for the fields of a group, or the parameter itself if it is no group; all by keyword."""
    if group is None:
        return [parameter.replace(kind=Parameter.KEYWORD_ONLY)]
    hints = get_type_hints(group, include_extras=True)
    return [
        _make_parameter(name, _add_heading(hints[name], group.HEADING), field.default)
        for name, field in signature(group).parameters.items()
    ]


def _make_parameter(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _add_heading(annotation: Any, heading: str) -> Any:
    """Return the annotation of an option with its heading; that of an argument unchanged."""
    kind, info = get_args(annotation)
    if isinstance(info, OptionInfo):
        info = copy(info)  # commands share it
        info.rich_help_panel = heading
    return Annotated[kind, info]


_SAVED_BY_EXPORT = {
    "show": " For a picture, type: attnviz export … -o x.png, or x.npz for data.",
    "heads": " For a picture, type: attnviz export … --layout heads -o x.png.",
}
"""How to save a picture of what is shown by commands that have no option for that, by their names."""


class GroupedCommand(TyperCommand):
    """A command that refuses options without effect, and whose help lists its options under headings."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the arguments; where there is no option to save what is printed, say how to save it."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            asked = getattr(error, "option_name", "")
            if asked in ("-o", "--output") and any(parameter.name == "form" for parameter in self.params):
                other = _SAVED_BY_EXPORT.get(str(self.name), "")
                ctx.fail(
                    f"No such option: {asked}.{other} To save what attnviz {self.name} prints, type > FILE after it."
                )
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command, unless an option was given that has no effect; where a text is missing, show how to give it.

        Raises:
            UsageError: an option has no effect, or there is no text.
        """
        from attnviz.cli.effects import refuse_idle  # which `attnviz --help` does without

        refuse_idle(ctx)
        try:
            return super().invoke(ctx)
        except MissingTextError as error:
            raise UsageError(f"{error} Give one, as in: {self._find_example()}, or pipe lines in.") from None

    def _find_example(self) -> str:
        """Return the first example of the help that has a text."""
        lines = map(str.strip, str(self.help).splitlines())
        return next(line for line in lines if line.startswith(f'attnviz {self.name} "'))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options under their headings, in the order of the headings."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                heading = getattr(parameter, _HEADING, None) or _OTHERWISE[parameter.param_type_name]
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


_OTHERWISE = {"argument": "Arguments", "option": "Options"}
