"""`doseqr register`: make objects that another store holds known, from their files."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom

from services.cli.client.events import EventQueue, listening, refuse_rejected
from services.cli.client.session import opened_broker, require_workers, settings_of_command
from services.cli.output.console import JsonOption, line, print_json, say
from services.cli.output.exit_codes import INCOMPLETE, away, usage
from shared.broker.port import Broker
from shared.contract.envelope import new_id
from shared.contract.messages import ObjectReference, ObjectsRegistered, RegisterObjects
from shared.errors import InvalidInputError
from shared.identifiers import parse_uid
from shared.messaging.publisher import Publisher

#: Objects in one command.
BATCH = 500
#: Commands on their way at once.
IN_FLIGHT = 4
#: How long one answer may take while somebody listens, and how often it is looked whether somebody does.
PATIENCE_S, CHECK_S = 120.0, 2.0

_TAGS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_DICOMDIR_CLASS = "1.2.840.10008.1.3.10"


@dataclass
class Tally:
    """What became of the files."""

    registered: int = 0
    skipped: int = 0
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the result of `doseqr register --json`."""
        return {"registered": self.registered, "skipped": self.skipped, "unreadable": self.unreadable}


def register(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="DICOM files, or folders of them.")],
    as_json: JsonOption = False,
) -> None:
    """Make the objects in these files known, so that no query asks for them again; nothing is copied."""
    for path in paths:
        if not path.exists():
            raise usage(f"{path}: there is no such file or folder", "path")
    settings = settings_of_command()
    tally = Tally()
    with opened_broker(settings) as broker:
        require_workers(broker, ["store"])
        with listening(broker, ["objects.registered.#", "command.rejected.#"]) as inbox:
            _register(broker, inbox, _batches(references(paths, tally)), tally)
    if as_json:
        print_json(tally.to_json())
    else:
        for one in tally.unreadable:
            say(f"unreadable: {one['path']}: {one['problem']}")
        line(
            f"{tally.registered} objects registered, {tally.skipped} other files, "
            f"{len(tally.unreadable)} unreadable"
        )
    if tally.unreadable:
        raise typer.Exit(INCOMPLETE)


def references(paths: Sequence[Path], tally: Tally) -> Iterator[ObjectReference]:
    """Yield the objects in the files; what is no DICOM file or cannot be read goes to the tally."""
    for path in paths:
        for file in _files(path):
            try:
                if not is_dicom(file) and path != file:
                    tally.skipped += 1
                    continue
                reference = _reference(file)
            except InvalidInputError as error:
                tally.unreadable.append({"path": str(file), "problem": str(error)})
            except InvalidDicomError:
                tally.unreadable.append({"path": str(file), "problem": "not a DICOM file"})
            except OSError as error:
                tally.unreadable.append({"path": str(file), "problem": error.strerror or "cannot be read"})
            except (ValueError, AttributeError, KeyError, NotImplementedError) as error:
                # what pydicom raises on damaged files; its text may quote values, so only its kind is told
                problem = f"damaged ({type(error).__name__})"
                tally.unreadable.append({"path": str(file), "problem": problem})
            else:
                if reference is None:
                    tally.skipped += 1
                else:
                    yield reference


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for found in sorted(path.rglob("*")):
        if found.is_file():
            yield found


def _reference(file: Path) -> ObjectReference | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote values; what is malformed is refused below
        ds = dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
        sop_class_uid = str(ds.get("SOPClassUID") or "")
        texts = {name: str(ds.get(name) or "") for name in _TAGS[1:]}
    if ds.file_meta.get("MediaStorageSOPClassUID") == _DICOMDIR_CLASS:
        return None
    uids = {name: parse_uid(name, text) for name, text in texts.items()}
    return ObjectReference(
        study_instance_uid=uids["StudyInstanceUID"],
        series_instance_uid=uids["SeriesInstanceUID"],
        sop_instance_uid=uids["SOPInstanceUID"],
        sop_class_uid=parse_uid("SOPClassUID", sop_class_uid) if sop_class_uid else None,
    )


def _batches(objects: Iterator[ObjectReference]) -> Iterator[list[ObjectReference]]:
    batch: list[ObjectReference] = []
    for one in objects:
        batch.append(one)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _register(
    broker: Broker, inbox: EventQueue, batches: Iterator[list[ObjectReference]], tally: Tally
) -> None:
    publisher = Publisher(broker, "cli")
    waiting: dict[str, int] = {}
    for batch in batches:
        while len(waiting) >= IN_FLIGHT:
            _take_answer(broker, inbox, waiting, tally)
        command_id = new_id()
        waiting[command_id] = len(batch)
        publisher.command(RegisterObjects(objects=batch), command_id=command_id)
    while waiting:
        _take_answer(broker, inbox, waiting, tally)


def _take_answer(broker: Broker, inbox: EventQueue, waiting: dict[str, int], tally: Tally) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for event in inbox.until(time.monotonic() + CHECK_S):
            refuse_rejected(event, list(waiting))
            if isinstance(event, ObjectsRegistered) and event.command_id in waiting:
                del waiting[event.command_id]
                tally.registered += event.objects
                return
        require_workers(broker, ["store"])
    raise away("The store service did not answer in time; its log tells why.")
