"""The few figures of a dose report by which a person sees that it is the right one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NotRequired, Self, TypedDict

Kind = Literal["ct", "projection", "mammography", "radiopharmaceutical", "other"]

#: Figures of one report that are kept: real ones have some thousand at most.
MAX_FIGURES = 20_000


class FigureJson(TypedDict):
    """A figure in the database and in JSON; what does not apply is left out."""

    name: str
    value: float | None
    unit: str
    of: str
    original_value: NotRequired[float]
    original_unit: NotRequired[str]
    problem: NotRequired[str]


class SummaryJson(TypedDict):
    """A summary in the database and in JSON."""

    kind: Kind
    events: int
    figures: list[FigureJson]
    figures_left_out: NotRequired[int]
    #: As the device writes them (0018,1020), in one text.
    software_versions: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: what it is, its unit (UCUM, as the report has it), and of which event, side or plane."""

    name: str
    #: None where the report has no number; `problem` holds why.
    value: float | None
    unit: str
    of: str = ""
    #: What the report has, where `value` and `unit` were converted.
    original_value: float | None = None
    original_unit: str = ""
    #: Why there is no value, in one word of `numeric_value.Problem`.
    problem: str = ""

    def to_json(self) -> FigureJson:
        """Return plain values; what does not apply is left out."""
        figure: FigureJson = {"name": self.name, "value": self.value, "unit": self.unit, "of": self.of}
        if self.original_value is not None:
            figure["original_value"] = self.original_value
        if self.original_unit:
            figure["original_unit"] = self.original_unit
        if self.problem:
            figure["problem"] = self.problem
        return figure


@dataclass(frozen=True, slots=True)
class Summary:
    """What a report holds; totals stand before the figures of single events."""

    kind: Kind
    #: Irradiation events, or administrations.
    events: int
    figures: tuple[Figure, ...] = ()
    #: Figures beyond `MAX_FIGURES`, which only the report itself has.
    figures_left_out: int = 0
    software_versions: str = ""

    def to_json(self) -> SummaryJson:
        """Return plain values."""
        summary: SummaryJson = {
            "kind": self.kind,
            "events": self.events,
            "figures": [figure.to_json() for figure in self.figures],
        }
        if self.figures_left_out:
            summary["figures_left_out"] = self.figures_left_out
        if self.software_versions:
            summary["software_versions"] = self.software_versions
        return summary

    @classmethod
    def from_json(cls, data: SummaryJson) -> Self:
        """Read stored values."""
        figures = tuple(Figure(**datum) for datum in data["figures"])
        left_out, versions = data.get("figures_left_out", 0), data.get("software_versions", "")
        return cls(data["kind"], data["events"], figures, left_out, versions)
