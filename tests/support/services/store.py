"""What tests of the store share: objects, real and made, and a store that runs in this process."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom.data
from sqlalchemy import select

from services.store.main import start
from services.store.objects.identity import Identity, read_identity
from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Broker, Message
from shared.contract.messages import ObjectsStored
from shared.database.models.store import StoredObject
from shared.database.session import Database
from shared.dicom.part10 import read_head
from shared.errors import InvalidInputError
from shared.lifecycle import Lifecycle
from shared.messaging.codec import decode_event
from shared.settings import Settings
from tests.support.peers.storage_scu import IMPLICIT, VERIFICATION, Context, Scu
from tests.support.ports import free_port
from tests.support.servers.databases import prepare

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
CT_EXPLICIT: Context = (CT, (EXPLICIT,))
ECHO: Context = (VERIFICATION, (IMPLICIT,))

BUNDLED = Path(pydicom.data.__file__).parent / "test_files"
SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples"


@dataclass(frozen=True)
class DicomObject:
    """A data set as bytes, and who it is."""

    name: str
    identity: Identity
    transfer_syntax_uid: str
    data_set: bytes
    file: Path | None = None

    @property
    def context(self) -> Context:
        return (self.identity.sop_class_uid, (self.transfer_syntax_uid,))

    @property
    def sop_instance_uid(self) -> str:
        return str(self.identity.sop_instance_uid)

    @property
    def path(self) -> str:
        identity = self.identity
        return f"{identity.study_instance_uid}/{identity.series_instance_uid}/{identity.sop_instance_uid}.dcm"

    def send(self, scu: Scu) -> int:
        return scu.store(self.context, self.identity.sop_class_uid, self.sop_instance_uid, self.data_set)[0]


def _explicit(tag: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    if vr in (b"OW", b"OB"):
        return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def made_object(
    number: int = 1,
    *,
    size_bytes: int = 7800,
    series: str = "1.2.826.0.1.3.1",
    sop: str | None = None,
    sop_class: str = CT,
) -> DicomObject:
    """Make a small CT object in Explicit VR Little Endian; the same arguments give the same bytes."""
    sop = sop or f"1.2.826.0.1.4.{number}"
    data_set = b"".join(
        (
            _explicit(0x0008_0016, b"UI", sop_class.encode()),
            _explicit(0x0008_0018, b"UI", sop.encode()),
            _explicit(0x0010_0010, b"PN", b"Synthetic^Nobody"),
            _explicit(0x0020_000D, b"UI", b"1.2.826.0.1.2"),
            _explicit(0x0020_000E, b"UI", series.encode()),
            _explicit(0x0020_0013, b"IS", str(number).encode()),
            _explicit(0x7FE0_0010, b"OW", bytes([number % 251]) * size_bytes),
        )
    )
    return DicomObject(f"made-{number}", read_identity(data_set, EXPLICIT), EXPLICIT, data_set)


def read_object(file: Path) -> DicomObject | None:
    """Read a DICOM file as an object that can be sent; None if it is none."""
    data = file.read_bytes()
    try:
        head = read_head(data)
        data_set = data[head.data_set_offset :]
        identity = read_identity(data_set, head.transfer_syntax_uid)
    except InvalidInputError:
        return None
    return DicomObject(file.name, identity, head.transfer_syntax_uid, data_set, file)


def objects_in(folder: Path) -> list[DicomObject]:
    """Return the objects in a folder; some have the same SOP Instance UID in several encodings."""
    return [
        dicom_object
        for file in sorted(folder.glob("*.dcm"))
        if (dicom_object := read_object(file)) is not None
    ]


def data_set_in(file: Path) -> bytes:
    data = file.read_bytes()
    return data[read_head(data).data_set_offset :]


class Announced:
    """The objects that were announced, in order."""

    def __init__(self, broker: Broker) -> None:
        self.events: list[ObjectsStored] = []
        self._subscription = broker.subscribe(["objects.stored"], self._take)

    def _take(self, message: Message) -> None:
        event = decode_event(message)[1]
        assert isinstance(event, ObjectsStored)
        self.events.append(event)

    @property
    def uids(self) -> list[str]:
        return [stored.sop_instance_uid for event in list(self.events) for stored in event.objects]

    def close(self) -> None:
        self._subscription.close()


@dataclass
class RunningStore:
    """A store as its `main.py` wires it."""

    settings: Settings
    broker: Broker
    database: Database
    announced: Announced
    lifecycle: Lifecycle

    @property
    def port(self) -> int:
        return self.settings.store_port

    @property
    def objects_dir(self) -> Path:
        return self.settings.objects_dir

    @property
    def sqlite_file(self) -> str:
        assert self.database.url.database
        return self.database.url.database

    def scu(self, *contexts: Context, **options: Any) -> Scu:
        return Scu(self.port, list(contexts) or [CT_EXPLICIT, ECHO], **options)

    def send(self, *objects: DicomObject) -> list[int]:
        """Send objects on one association; returns the status codes."""
        with self.scu(*dict.fromkeys(dicom_object.context for dicom_object in objects)) as scu:
            statuses = [dicom_object.send(scu) for dicom_object in objects]
            scu.release()
        return statuses

    def knows(self, sop_instance_uid: str) -> bool:
        return sop_instance_uid in self.rows()

    def row(self, sop_instance_uid: str) -> StoredObject:
        return self.rows()[sop_instance_uid]

    def rows(self) -> dict[str, StoredObject]:
        with self.database.read() as session:
            return {row.sop_instance_uid: row for row in session.scalars(select(StoredObject))}

    def files(self) -> set[str]:
        """Return the visible files, below the folder of objects."""
        found = (path.relative_to(self.objects_dir) for path in self.objects_dir.rglob("*") if path.is_file())
        return {str(path) for path in found if not path.parts[0].startswith(".")}


def store_settings(data_dir: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "amqp_url": "memory://",
        "data_dir": data_dir,
        "store_host": "127.0.0.1",
        "store_port": free_port(),
        "grace": 10.0,
    }
    return Settings(**(values | changes))


@contextmanager
def running_store(data_dir: Path, *, broker: Broker | None = None, **changes: Any) -> Iterator[RunningStore]:
    """Run a store in this process, over the in-memory broker unless another one is given."""
    settings = store_settings(data_dir, **changes)
    data_dir.mkdir(parents=True, exist_ok=True)
    used = broker or MemoryBroker()
    with Lifecycle() as lifecycle:
        if broker is None:
            lifecycle.on_stop(used.close)
        database = Database(settings.database)
        lifecycle.on_stop(database.close)
        prepare(database)
        used.declare()
        announced = Announced(used)
        lifecycle.on_stop(announced.close)
        start(settings, used, database, lifecycle)
        yield RunningStore(settings, used, database, announced, lifecycle)
