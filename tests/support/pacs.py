"""Scripted PACS, studies to put into them, and a store that records what arrives."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from socketserver import BaseServer
from typing import Any, Self

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AllStoragePresentationContexts, build_role, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from simulator.archive.model import Archive, Instance, Series, Study
from simulator.behaviour import Behaviour
from simulator.content import RECIPES
from simulator.network.connection import Server  # noqa: F401 (switches pynetdicom's logging of identifiers off)
from simulator.network.sockets import acknowledge_at_once, send_at_once
from simulator.scp import ScriptedPacs
from simulator.transfer.requestor import Requestor, raw_socket

FIND = str(StudyRootQueryRetrieveInformationModelFind)
MOVE = str(StudyRootQueryRetrieveInformationModelMove)
GET = str(StudyRootQueryRetrieveInformationModelGet)
VERIFICATION = str(Verification)

#: The day on which made studies happened unless a test says otherwise.
DAY = dt.date(2024, 3, 5)
_numbers = itertools.count(1)


# Studies


def new_uid() -> str:
    """Return a UID that no other call returns."""
    return f"2.25.{10**20 + next(_numbers)}"


def series(
    content: str,
    instances: int = 1,
    *,
    modality: str | None = None,
    description: str | None = "",
    station_name: str | None = "STATION1",
    number: int | None = 1,
    first_number: int | None = 1,
    uid: str | None = None,
    sop_class_uid: str | None = None,
) -> Series:
    """Return a series of objects of one content (see simulator.content.RECIPES)."""
    recipe = RECIPES[content]
    series_uid = uid or new_uid()
    return Series(
        series_instance_uid=series_uid,
        modality=recipe.modality if modality is None else modality,
        instances=tuple(
            Instance(
                f"{series_uid}.{place}",
                sop_class_uid or recipe.sop_class_uid,
                content,
                None if first_number is None else first_number + place - 1,
            )
            for place in range(1, instances + 1)
        ),
        series_number=number,
        description=description,
        station_name=station_name,
    )


def study(*members: Series, **fields: Any) -> Study:
    """Return a study of the given series; `fields` are those of simulator.archive.model.Study."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "study_instance_uid": new_uid(),
        "date": DAY,
        "time": dt.time(8, number // 60 % 60, number % 60),
        "accession_number": f"ACC{number:06d}",
        "description": "Study",
    }
    numbered = (
        dataclasses.replace(member, series_number=place) for place, member in enumerate(members, start=1)
    )
    return Study(series=tuple(numbered), **{**defaults, **fields})


def ct_study(
    *,
    with_rdsr: bool = True,
    with_esr: bool = False,
    with_text: bool = False,
    with_dose_info: bool = False,
    images: int = 3,
    reports: int = 1,
    **fields: Any,
) -> Study:
    """Return a CT study: one image series, and the reports that are asked for."""
    members = [series("ct_image", images, description="Thorax 5.0")]
    members += [series("philips_dose_info", description="Dose Info")] if with_dose_info else []
    members += [series("rdsr_ct", reports, description="Dose Report")] if with_rdsr else []
    members += [series("esr_ct", description="Dose Record")] if with_esr else []
    members += [series("text_sr", description="Report")] if with_text else []
    return study(*members, **{"description": "CT Thorax", **fields})


def philips_ct_study(*, described: bool = True, **fields: Any) -> Study:
    """Return a CT study whose dose is on a screen, with or without series descriptions."""
    return study(
        series("ct_image", 20, description="Thorax" if described else None),
        series("philips_dose_info", 1, description=" Dose Info " if described else None),
        **fields,
    )


def toshiba_ct_study(**fields: Any) -> Study:
    """Return a CT study with a dose screen as secondary capture; images begin at number 3."""
    return study(
        series("ct_image", 5, description="Body", first_number=3),
        series("toshiba_dose_summary", 2, description="Summary"),
        **fields,
    )


def mg_study(*, with_rdsr: bool = False, images: int = 4, **fields: Any) -> Study:
    """Return a mammography with presentation state and key objects."""
    members = [series("mg_image", images), series("presentation_state"), series("key_objects")]
    members += [series("rdsr_mg")] if with_rdsr else []
    return study(*members, **{"description": "Mammographie bds.", **fields})


def dx_study(*, with_rdsr: bool = False, content: str = "dx_image", images: int = 2, **fields: Any) -> Study:
    """Return a radiography study; `content` is one of dx_image, cr_image, px_image."""
    members = [series(content, images)] + ([series("rdsr_dx")] if with_rdsr else [])
    return study(*members, **{"description": "Thorax p.a.", **fields})


def fl_study(
    *, with_rdsr: bool = True, with_esr: bool = False, content: str = "xa_image", **fields: Any
) -> Study:
    """Return a fluoroscopy study; `content` is xa_image or rf_image."""
    members = [series(content, 2)]
    members += [series("rdsr_fl")] if with_rdsr else []
    members += [series("esr_fl")] if with_esr else []
    return study(*members, **{"description": "Angio", **fields})


def nm_study(*, with_rrdsr: bool = False, images: int = 2, **fields: Any) -> Study:
    """Return a scintigraphy; image numbers begin at 0."""
    members = [series("nm_image", images, first_number=0)] + ([series("rrdsr")] if with_rrdsr else [])
    return study(*members, **{"description": "Bone Scan", **fields})


def petct_study(*, with_rdsr: bool = True, with_rrdsr: bool = True, **fields: Any) -> Study:
    """Return a PET-CT."""
    members = [series("ct_image", 3), series("pet_image", 5, first_number=11)]
    members += [series("rdsr_ct")] if with_rdsr else []
    members += [series("rrdsr")] if with_rrdsr else []
    return study(*members, **{"description": "PET/CT Ganzkörper", **fields})


def sr_only_study(content: str = "rdsr_ct", **fields: Any) -> Study:
    """Return a study that is nothing but one report."""
    return study(series(content), **fields)


def mr_study(**fields: Any) -> Study:
    """Return a study that has no dose."""
    return study(series("mr_image", 2), **{"description": "MRT Knie", **fields})


def days_of(
    studies: int, first: dt.date, last: dt.date, make: Callable[..., Study] = ct_study
) -> list[Study]:
    """Return studies spread evenly over the days from `first` until `last`."""
    days = (last - first).days + 1
    return [make(date=first + dt.timedelta(days=number * days // studies)) for number in range(studies)]


def objects(*studies: Study, content: str | None = None) -> frozenset[str]:
    """Return the SOP Instance UIDs of studies, of one content or of all."""
    return frozenset(
        instance.sop_instance_uid
        for one in studies
        for member in one.series
        for instance in member.instances
        if content in {None, instance.content}
    )


# A store


@dataclasses.dataclass(frozen=True)
class Received:
    """One object as it arrived."""

    sop_class_uid: str
    sop_instance_uid: str
    association: int
    calling_ae_title: str
    data_set: bytes
    transfer_syntax_uid: str


class _StoreServer(ThreadedAssociationServer):
    def service_actions(self) -> None:
        """Do nothing: pynetdicom collects garbage at every 60th look whether to stop."""


class StoreScp:
    """A C-STORE SCP that keeps what it gets in memory.

    `answer` may be replaced: it is asked for the status of each object before it is recorded.
    """

    def __init__(self, ae_title: str = "STORE") -> None:
        self.ae_title = ae_title
        self.port = 0
        self.answer: Callable[[str], int] = lambda _sop_instance_uid: 0x0000
        self._arrived = threading.Condition()
        self._received: list[Received] = []
        self._ae = ApplicationEntity(ae_title=ae_title)
        self._ae.maximum_pdu_size = 0
        self._ae.maximum_associations = 100
        self._ae.supported_contexts = AllStoragePresentationContexts
        for context in self._ae.supported_contexts:
            context.transfer_syntax = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        self._ae.add_supported_context(VERIFICATION)
        self._server: ThreadedAssociationServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        self._server = self._ae.make_server(
            ("127.0.0.1", self.port),
            evt_handlers=[(evt.EVT_C_STORE, self._store), (evt.EVT_CONN_OPEN, _on_open), *self.handlers()],
            server_class=_StoreServer,
        )
        self.port = int(self._server.server_address[1])
        # pynetdicom's own thread looks only twice a second whether it shall stop.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def handlers(self) -> list[Any]:
        """Return the handlers of what else it serves."""
        return []

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        BaseServer.shutdown(self._server)
        self._thread.join(10)
        associations = self._server.active_associations
        self._server.server_close()
        for assoc in associations:
            assoc.abort()
            assoc.join(10)
        self._server = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def _store(self, event: evt.Event) -> int:
        request: Any = event.request
        sop_instance_uid = str(request.AffectedSOPInstanceUID)
        wrapped = event.assoc.dul.socket
        if wrapped is not None and wrapped.socket is not None:
            acknowledge_at_once(wrapped.socket)
        status = self.answer(sop_instance_uid)
        if status in {0x0000, 0xB000, 0xB006, 0xB007}:
            received = Received(
                str(request.AffectedSOPClassUID),
                sop_instance_uid,
                id(event.assoc),
                event.assoc.requestor.ae_title,
                request.DataSet.getvalue(),
                str(event.context.transfer_syntax),
            )
            with self._arrived:
                self._received.append(received)
                self._arrived.notify_all()
        return status

    @property
    def received(self) -> tuple[Received, ...]:
        with self._arrived:
            return tuple(self._received)

    @property
    def uids(self) -> frozenset[str]:
        """The SOP Instance UIDs that arrived."""
        return frozenset(one.sop_instance_uid for one in self.received)

    def wait_for(self, number: int, timeout_s: float = 20) -> bool:
        """Wait until so many objects have arrived."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self._received) >= number, timeout_s)


def _on_open(event: evt.Event) -> None:
    wrapped = event.assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        send_at_once(wrapped.socket)


# A client


class Scu:
    """An association to a PACS, for tests of the simulator itself and of what others see."""

    def __init__(
        self,
        pacs: ScriptedPacs,
        *,
        ae_title: str = "TESTSCU",
        called_ae_title: str | None = None,
        relational: bool = False,
        get: Iterable[str] = (),
        handlers: Iterable[Any] = (),
        timeout_s: float = 10,
        ssl_context: Any = None,
    ) -> None:
        ae = Requestor(ae_title=ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
        storage = list(dict.fromkeys(get))
        negotiation: list[Any] = [build_role(uid, scp_role=True) for uid in storage]
        if relational:
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid, item.service_class_application_information = FIND, b"\x01"
            negotiation.append(item)
        contexts = [build_context(uid) for uid in (VERIFICATION, FIND, MOVE, GET, *storage)]
        self.assoc: Association = ae.open(
            pacs.host,
            pacs.port,
            contexts=contexts,
            ae_title=called_ae_title or pacs.ae_title,
            ext_neg=negotiation,
            evt_handlers=list(handlers),
            tls_args=None if ssl_context is None else (ssl_context, "localhost"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.assoc.is_established:
            self.assoc.release()
        if self.assoc.is_alive():
            self.assoc.join(10)
        raw = raw_socket(self.assoc)
        if raw is not None:
            raw.close()

    def find(self, level: str, **keys: Any) -> tuple[list[Dataset], int | None]:
        """Return the answers of a C-FIND and its final status, None where none came."""
        answers = []
        final: int | None = None
        for status, identifier in self.assoc.send_c_find(identifier_of(level, **keys), FIND):
            final = status.get("Status")
            if final in {0xFF00, 0xFF01} and identifier is not None:
                answers.append(identifier)
        return answers, final

    def move(self, level: str, destination: str = "STORE", **keys: Any) -> list[Dataset]:
        """Return the statuses of a C-MOVE; the last is the final one."""
        responses = self.assoc.send_c_move(identifier_of(level, **keys), destination, MOVE)
        return [status for status, _identifier in responses]


def identifier_of(level: str, **keys: Any) -> Dataset:
    """Return a request identifier; a key given as None is asked for without value."""
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(
            ds,
            keyword,
            "" if value is None else list(value) if isinstance(value, (tuple, set, frozenset)) else value,
        )
    return ds


def decode_object(received: Received) -> Dataset:
    """Return the data set of an object that arrived."""
    from pynetdicom.dsutils import decode

    implicit = received.transfer_syntax_uid == ImplicitVRLittleEndian
    return decode(BytesIO(received.data_set), implicit, True)


# Fixtures

PacsFactory = Callable[..., ScriptedPacs]


@pytest.fixture
def scripted_pacs() -> Iterator[PacsFactory]:
    """Start scripted PACS; all are stopped when the test ends.

    Call it with studies (or an archive), and traits of simulator.behaviour.Behaviour as keywords; `ae_title`,
    `destinations`, `port`, `log` and `ssl_context` go to the PACS itself.
    """
    started: list[ScriptedPacs] = []
    own = {"ae_title", "host", "port", "destinations", "log", "ssl_context"}

    def start(archive: Archive | Iterable[Study] = (), **options: Any) -> ScriptedPacs:
        traits = {name: value for name, value in options.items() if name not in own}
        rest = {name: value for name, value in options.items() if name in own}
        pacs = ScriptedPacs(archive, Behaviour(**traits), **rest)
        started.append(pacs)
        return pacs.start()

    yield start
    for pacs in started:
        pacs.stop()


@pytest.fixture
def store_scp() -> Iterator[StoreScp]:
    """Return a running store that records what arrives."""
    store = StoreScp().start()
    yield store
    store.stop()
