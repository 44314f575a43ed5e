"""The few figures of a dose report by which a person sees that it is the right one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Kind = Literal["ct", "projection", "mammography", "radiopharmaceutical", "other"]

#: Figures of one report that are kept; what is beyond stands in the report itself.
MAX_FIGURES = 200


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: what it is, its unit (UCUM, as the report has it), and of which event, side or plane."""

    name: str
    value: float
    unit: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a report says; totals stand before the figures of single events."""

    kind: Kind
    #: Irradiation events, or administrations.
    events: int
    figures: tuple[Figure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"figures": [asdict(figure) for figure in self.figures]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read stored values."""
        figures = tuple(Figure(**datum) for datum in data["figures"])
        return cls(kind=data["kind"], events=data["events"], figures=figures)
