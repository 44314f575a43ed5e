"""A C-FIND and C-MOVE SCU over pynetdicom, which shows what any client gets from a PACS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydicom.dataset import Dataset
from pynetdicom import build_role
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from simulator.network.connection import PacsServer  # noqa: F401 (switches pynetdicom's logging of identifiers off)
from simulator.scp import ScriptedPacs
from simulator.transfer.c_store import PacsRequestor, raw_socket

FIND = str(StudyRootQueryRetrieveInformationModelFind)
MOVE = str(StudyRootQueryRetrieveInformationModelMove)
GET = str(StudyRootQueryRetrieveInformationModelGet)
VERIFICATION = str(Verification)


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
        ae = PacsRequestor(ae_title=ae_title)
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
        """Return the matches of a C-FIND and its final status, None if none came."""
        matches = []
        final: int | None = None
        for status, identifier in self.assoc.send_c_find(identifier_of(level, **keys), FIND):
            final = status.get("Status")
            if final in {0xFF00, 0xFF01} and identifier is not None:
                matches.append(identifier)
        return matches, final

    def move(self, level: str, destination: str = "STORE", **keys: Any) -> list[Dataset]:
        """Return the statuses of a C-MOVE; the last is the final one."""
        responses = self.assoc.send_c_move(identifier_of(level, **keys), destination, MOVE)
        return [status for status, _identifier in responses]


def identifier_of(level: str, **keys: Any) -> Dataset:
    """Return a request identifier; a key given as None is requested without a value."""
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(
            ds,
            keyword,
            "" if value is None else list(value) if isinstance(value, (tuple, set, frozenset)) else value,
        )
    return ds
