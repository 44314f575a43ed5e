"""Options that several commands share: the fields of a dataclass, whose annotations are typer's."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the fields of its parameter `options`, a dataclass, as options of its own."""
    signature = inspect.signature(command, eval_str=True)
    group: Any = signature.parameters["options"].annotation
    expanded: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "options":
            expanded += _parameters_of(group)
        else:
            expanded.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**given: object) -> None:
        options = group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
        command(**given, options=options)

    run.__annotations__ = {parameter.name: parameter.annotation for parameter in expanded}
    vars(run)["__signature__"] = inspect.Signature(expanded)
    return run


def _parameters_of(group: type[Any]) -> list[inspect.Parameter]:
    annotations = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=annotations[field.name],
        )
        for field in dataclasses.fields(group)
    ]
