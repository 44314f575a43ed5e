"""The few figures of a dose report by which a person sees that it is the right one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Kind = Literal["ct", "projection", "mammography", "radiopharmaceutical", "other"]

#: Figures of one report that are kept: real ones have some thousand at most.
MAX_FIGURES = 20_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: what it is, its unit (UCUM, as the report has it), and of which event, side or plane."""

    name: str
    #: None where the report has no number; `problem` says why.
    value: float | None
    unit: str
    of: str = ""
    #: What the report has, where `value` and `unit` were converted.
    original_value: float | None = None
    original_unit: str = ""
    #: Why there is no value, in one word of `numeric_value.Problem`.
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values; what does not apply is left out."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name in ("name", "value", "unit", "of") or value not in (None, "")
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """What a report says; totals stand before the figures of single events."""

    kind: Kind
    #: Irradiation events, or administrations.
    events: int
    figures: tuple[Figure, ...] = ()
    #: Figures beyond `MAX_FIGURES`, which only the report itself has.
    figures_left_out: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        data = {
            "kind": self.kind,
            "events": self.events,
            "figures": [figure.to_json() for figure in self.figures],
        }
        return data | ({"figures_left_out": self.figures_left_out} if self.figures_left_out else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read stored values."""
        figures = tuple(Figure(**datum) for datum in data["figures"])
        return cls(data["kind"], data["events"], figures, data.get("figures_left_out", 0))
