"""Which objects running retrieves want as headers: their bulk data is left out as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import and_, exists, or_, select

from services.store.objects.identity import Identity, read_identity
from shared.contract.messages import ENDED
from shared.database.models.retrieve import Retrieve, RetrieveObject
from shared.database.models.store import HEADERS, WHOLE
from shared.database.session import Database
from shared.dicom.sop_classes import WHOLE_CLASSES
from shared.dicom.transfer_syntaxes import BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN
from shared.errors import DatabaseAwayError, InvalidInputError

log = structlog.get_logger(__name__)

#: Seconds for which it is believed that no retrieve wants headers.
BELIEVED_S = 0.2

#: Whether the bulk data of the object that begins so is to be left out.
LeaveOut = Callable[[bytes], bool]


class HeaderOrders:
    """Reads them from the ledgers of retrieves; thread-safe.

    Where the database does not respond, objects are kept whole: that is what everybody can use.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted = False
        self._believed_until = 0.0

    def of(self, transfer_syntax_uid: str) -> LeaveOut | None:
        """Return what decides on an object in this transfer syntax; None as long as no headers are wanted."""
        if not self._any():
            return None
        big_endian = transfer_syntax_uid == BIG_ENDIAN
        syntax = BIG_ENDIAN if big_endian else EXPLICIT_VR_LITTLE_ENDIAN
        return lambda begin: self._is_wanted(begin, syntax)

    def _any(self) -> bool:
        with self._lock:
            now = self._clock()
            if now >= self._believed_until:
                self._wanted = self._read_any()
                self._believed_until = now + BELIEVED_S
            return self._wanted

    def _read_any(self) -> bool:
        running = select(Retrieve.id).where(Retrieve.content == HEADERS, Retrieve.status.not_in(ENDED))
        try:
            with self._database.read() as session:
                return session.execute(running.limit(1)).first() is not None
        except DatabaseAwayError:
            return False

    def _is_wanted(self, begin: bytes, transfer_syntax_uid: str) -> bool:
        try:
            identity = read_identity(begin, transfer_syntax_uid)
            return str(identity.sop_class_uid) not in WHOLE_CLASSES and self._is_ordered(identity)
        except InvalidInputError:
            return False  # it is refused when all of it has come
        except DatabaseAwayError as error:
            log.warning("kept whole", sop_instance_uid=identity.sop_instance_uid, error=str(error))
            return False

    def _is_ordered(self, identity: Identity) -> bool:
        """Return whether it is expected as a header, and by no other retrieve as a whole."""
        row = RetrieveObject
        uids = (str(identity.sop_instance_uid), "")
        of_object = and_(
            row.study_instance_uid == str(identity.study_instance_uid),
            row.series_instance_uid == str(identity.series_instance_uid),
            row.sop_instance_uid.in_(uids),
        )
        running = exists().where(Retrieve.id == row.job_id, Retrieve.status.not_in(ENDED))
        # Of a header that has arrived, more copies may come.
        still = or_(
            and_(row.content == HEADERS, row.state.in_(("expected", "asked", "arrived"))),
            and_(row.content == WHOLE, row.state.in_(("expected", "asked"))),
        )
        with self._database.read() as session:
            found = session.execute(
                select(row.sop_instance_uid, row.content).where(of_object, running, still)
            ).all()
        named = {content for uid, content in found if uid}
        return (named or {content for _, content in found}) == {HEADERS}
