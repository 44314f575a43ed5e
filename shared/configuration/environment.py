"""Settings from variables, and from files that variables name: DOSEQR_X_FILE holds the value of DOSEQR_X."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: The ending of a variable that names a file with the value.
FILE_SUFFIX = "_FILE"
#: Bytes of the longest file that is read.
FILE_MAX_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Given:
    """What variables and files give: texts by setting, the variable of each, and what is wrong."""

    values: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    def from_file(self, setting: str) -> bool:
        """Return whether the value of a setting was in a file."""
        return self.variables.get(setting, "").endswith(FILE_SUFFIX)


def read_variables(environment: Mapping[str, str], prefix: str, settings: Iterable[str]) -> Given:
    """Return what the variables give for these settings; their names may be in any case."""
    present = {name.upper(): value for name, value in environment.items()}
    values: dict[str, str] = {}
    variables: dict[str, str] = {}
    problems: dict[str, str] = {}
    for setting in settings:
        name = prefix + setting.upper()
        file = present.get(name + FILE_SUFFIX)
        if name in present and file:
            problems[name] = f"set either {name} or {name}{FILE_SUFFIX}, not both"
        elif name in present:
            values[setting], variables[setting] = present[name], name
        elif file:
            try:
                values[setting] = _content(Path(file))
                variables[setting] = name + FILE_SUFFIX
            except ValueError as error:
                problems[name + FILE_SUFFIX] = f"{file}: {error}"
    return Given(values, variables, problems)


def unknown_names(environment: Iterable[str], prefix: str, settings: Iterable[str]) -> list[str]:
    """Return the variables that begin with the prefix and are no setting; those of tests are left out."""
    names = {prefix + setting.upper() for setting in settings}
    known = names | {name + FILE_SUFFIX for name in names}
    return sorted(
        name
        for name in environment
        if name.startswith(prefix) and not name.startswith(f"{prefix}TEST_") and name.upper() not in known
    )


def _content(path: Path) -> str:
    """Return the text of a file without the end of its last line.

    Raises:
        ValueError: it cannot be read, is empty, too long or no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    if len(content) > FILE_MAX_BYTES:
        raise ValueError(f"is longer than {FILE_MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("is no text in UTF-8") from None
    if not text:
        raise ValueError("is empty")
    return text
