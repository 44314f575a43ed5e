"""A PACS written down in a TOML file."""

import dataclasses
import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from simulator.archive.files import studies_in
from simulator.archive.model import Archive, Instance, Series, Study, StudyList, UnitedArchive
from simulator.behaviour import Behaviour
from simulator.content import RECIPES
from simulator.content.base import derived_uid, rng_for
from simulator.dicomweb.behaviour import WebBehaviour
from simulator.dicomweb.server import DicomwebServer
from simulator.generator.blueprints import KINDS, make_study
from simulator.generator.generated_archive import generate
from simulator.scp import ScriptedPacs

_RELATIVE_DAY = re.compile(r"today(?:\s*-\s*(\d{1,5}))?", re.IGNORECASE)
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_UID = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*")
_UID_LENGTH = 64
#: Digits that a kind adds to the UID of a study for its objects.
_UID_ROOM = 9


class ScriptError(ValueError):
    """The file describes no PACS; the message names file, field and reason, a line for each."""


def _ae_title(value: str) -> str:
    if not _AE_TITLE.fullmatch(value) or not value.strip():
        raise ValueError("an AE title has 1 to 16 characters of ASCII, without backslash")
    return value.strip()


def _uid(value: str) -> str:
    if len(value) > _UID_LENGTH or not _UID.fullmatch(value):
        raise ValueError("a UID is made of numbers with dots between, 64 characters at most")
    return value


def _address(value: object) -> object:
    if not isinstance(value, str):
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError('expected "host:port"')
    return host, int(port)


AeTitle = Annotated[str, BeforeValidator(lambda value: _ae_title(value) if isinstance(value, str) else value)]
Uid = Annotated[str, BeforeValidator(lambda value: _uid(value) if isinstance(value, str) else value)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Address = Annotated[tuple[str, Annotated[int, Field(ge=1, le=65_535)]], BeforeValidator(_address)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PacsTable(_Table):
    """Where the PACS listens and what it is called."""

    ae_title: AeTitle = "SCRIPTED"
    host: str = "127.0.0.1"
    port: Port = 11113


class GeneratedTable(_Table):
    """Studies that are made up, over a span of days that ends today or over given dates."""

    studies: int = Field(ge=0, lt=1_000_000)
    seed: int = Field(default=1, ge=0)
    days: int | None = Field(default=None, ge=1, le=36_500)
    first_date: dt.date | None = None
    last_date: dt.date | None = None
    kinds: dict[str, int] | None = None

    @model_validator(mode="after")
    def _has_a_span(self) -> Self:
        given = self.first_date is not None and self.last_date is not None
        if (self.days is None) == (not given) or (not given and (self.first_date or self.last_date)):
            raise ValueError("give either `days`, or both `first_date` and `last_date`")
        return self


class SeriesTable(_Table):
    """One series and its objects: `instances` of one `content`."""

    content: str
    modality: str | None = None
    description: str | None = None
    station_name: str | None = None
    instances: int = Field(default=1, ge=1, le=100_000)
    first_number: int = 1
    uid: Uid | None = None
    sop_class_uid: Uid | None = None

    @field_validator("content")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in RECIPES:
            raise ValueError(f"is none of {', '.join(RECIPES)}")
        return value


class StudyTable(_Table):
    """One study: of a `kind`, or with its series."""

    kind: Literal[tuple(KINDS)] | None = None  # type: ignore[valid-type]
    uid: Uid | None = None
    date: dt.date | str | None = "today"
    time: dt.time | None = dt.time(12)
    description: str | None = None
    accession_number: str = Field(default="", max_length=16)
    patient_id: str = Field(default="SIM0000001", max_length=64)
    patient_name: str = "Sample^Patient"
    modalities: tuple[str, ...] = ()
    series: tuple[SeriesTable, ...] = ()
    repeat: int = Field(default=1, ge=1, le=100_000)

    @field_validator("date")
    @classmethod
    def _is_a_day(cls, value: dt.date | str | None) -> dt.date | str | None:
        if isinstance(value, str) and value and not _RELATIVE_DAY.fullmatch(value):
            raise ValueError('expected a date as 2024-03-05, "today", "today-3", or "" for none')
        return value

    @model_validator(mode="after")
    def _is_described_once(self) -> Self:
        if (self.kind is None) == (not self.series):
            raise ValueError("give either a `kind` or `series`")
        if self.kind is not None and len(self.uid or "") > _UID_LENGTH - _UID_ROOM:
            raise ValueError(f"uid: with a `kind` at most {_UID_LENGTH - _UID_ROOM} characters")
        return self


class FilesTable(_Table):
    """DICOM files and folders of them; paths are relative to the folder of the script."""

    paths: tuple[Path, ...] = Field(min_length=1)


class WebTable(_Table):
    """Where the PACS listens for DICOMweb, beside DIMSE, and how it behaves there."""

    port: Port = 11180
    behaviour: WebBehaviour = WebBehaviour()


class Script(_Table):
    """A whole PACS."""

    pacs: PacsTable = PacsTable()
    destinations: dict[AeTitle, Address] = Field(default_factory=dict)
    behaviour: Behaviour = Behaviour()
    web: WebTable | None = None
    generated: GeneratedTable | None = None
    files: FilesTable | None = None
    studies: tuple[StudyTable, ...] = ()


def read_script(path: Path) -> Script:
    """Read the description of a PACS.

    Raises:
        ScriptError: the file cannot be read, is no TOML, or a field is wrong.
    """
    try:
        described = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ScriptError(f"{path.name} cannot be read: {exc}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ScriptError(f"{path.name} is no TOML: {exc}") from exc
    return parse_script(described, path.name)


def parse_script(described: dict[str, object], name: str = "script") -> Script:
    """Return the PACS that a table describes.

    Raises:
        ScriptError: a field is wrong; the message names each.
    """
    try:
        return Script.model_validate(described)
    except ValidationError as exc:
        lines = (f"{name}: {_field(error['loc'])}: {_sentence(error['msg'])}" for error in exc.errors())
        raise ScriptError("\n".join(lines)) from exc


def _sentence(message: str) -> str:
    if message == "Extra inputs are not permitted":
        return "there is no such field"
    return message.removeprefix("Value error, ")


def _field(location: tuple[int | str, ...]) -> str:
    """Return a place as it would be written: studies[2].series[0].content."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def make_archive(script: Script, today: dt.date, folder: Path) -> Archive:
    """Return the studies of a script.

    Raises:
        ScriptError: a kind or a path is unknown.
    """
    explicit = [
        study for place, table in enumerate(script.studies) for study in _studies(table, place, today)
    ]
    try:
        if script.files is not None:
            explicit += studies_in(folder / path for path in script.files.paths)
        listed = StudyList(explicit)
        if script.generated is None:
            return listed
        first, last = _span(script.generated, today)
        table = script.generated
        generated = generate(table.studies, table.seed, first, last, table.kinds)
    except (ValueError, FileNotFoundError) as exc:
        raise ScriptError(str(exc)) from exc
    return UnitedArchive(generated, listed) if explicit else generated


def _span(table: GeneratedTable, today: dt.date) -> tuple[dt.date, dt.date]:
    if table.first_date is not None and table.last_date is not None:
        return table.first_date, table.last_date
    return today - dt.timedelta(days=(table.days or 1) - 1), today


def _studies(table: StudyTable, place: int, today: dt.date) -> Iterator[Study]:
    day = _day(table.date, today)
    for nth in range(table.repeat):
        uid = (
            table.uid if table.uid is not None and nth == 0 else derived_uid("script", place, nth, table.uid)
        )
        yield _explicit(table, uid, day) if table.kind is None else _of_kind(table, uid, day)


def _day(value: dt.date | str | None, today: dt.date) -> dt.date | None:
    if not isinstance(value, str):
        return value
    relative = _RELATIVE_DAY.fullmatch(value)
    return today - dt.timedelta(days=int(relative[1] or 0)) if relative else None


def _of_kind(table: StudyTable, uid: str, day: dt.date | None) -> Study:
    study = make_study(
        KINDS[str(table.kind)],
        uid,
        day,
        table.time,
        rng_for(uid),
        accession_number=table.accession_number,
        patient_id=table.patient_id,
        patient_name=table.patient_name,
    )
    if "description" in table.model_fields_set:
        study = dataclasses.replace(study, description=table.description)
    if table.modalities:
        study = dataclasses.replace(study, modalities=table.modalities)
    return study


def _explicit(table: StudyTable, uid: str, day: dt.date | None) -> Study:
    return Study(
        study_instance_uid=uid,
        date=day,
        time=table.time,
        series=tuple(_one_series(series, uid, number) for number, series in enumerate(table.series, start=1)),
        description=table.description,
        accession_number=table.accession_number,
        patient_id=table.patient_id,
        patient_name=table.patient_name,
        modalities=table.modalities,
    )


def _one_series(table: SeriesTable, study_uid: str, number: int) -> Series:
    recipe = RECIPES[table.content]
    uid = table.uid or derived_uid(study_uid, number)
    sop_class_uid = table.sop_class_uid or recipe.sop_class_uid
    return Series(
        series_instance_uid=uid,
        modality=table.modality or recipe.modality,
        instances=tuple(
            Instance(derived_uid(uid, place), sop_class_uid, table.content, table.first_number + place)
            for place in range(table.instances)
        ),
        series_number=number,
        description=table.description,
        station_name=table.station_name,
    )


def make_pacs(
    script: Script,
    *,
    folder: Path,
    today: dt.date,
    host: str | None = None,
    port: int | None = None,
    log: Path | None = None,
    destinations: Iterable[tuple[str, tuple[str, int]]] = (),
) -> ScriptedPacs:
    """Return the PACS of a script, not started; `host`, `port` and `destinations` go before the script's.

    Raises:
        ScriptError: a kind or a path is unknown.
    """
    return ScriptedPacs(
        make_archive(script, today, folder),
        script.behaviour,
        ae_title=script.pacs.ae_title,
        host=script.pacs.host if host is None else host,
        port=script.pacs.port if port is None else port,
        destinations={**script.destinations, **dict(destinations)},
        log=log,
    )


def make_web_server(script: Script, pacs: ScriptedPacs) -> DicomwebServer | None:
    """Return the DICOMweb side of a PACS, not started; None where the script has none.

    It holds the same studies, is recorded in the same place, and listens at the same address.
    """
    if script.web is None:
        return None
    return DicomwebServer(
        pacs.archive, script.web.behaviour, host=pacs.host, port=script.web.port, witness=pacs.witness
    )
