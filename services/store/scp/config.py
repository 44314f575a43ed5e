"""What holds for every association of a store."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from services.store.objects.temp_file import TempFile
from services.store.scp.commitment_reports import CommitmentEvent
from services.store.scp.log_budget import LogBudget
from services.store.store_object import CStoreCommand, CStoreRequest, StoreResponse


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every association of a store; times are in seconds."""

    take: Callable[[CStoreRequest], StoreResponse]
    #: Makes the file for a large object; without it all is held in memory.
    open_temp_file: Callable[[CStoreCommand], TempFile] | None
    #: Decides whether a calling AE title may associate.
    admit: Callable[[str], bool]
    #: Counts by name.
    count: Callable[[str], None]
    max_object_bytes: int
    #: For the TLS handshake and the A-ASSOCIATE-RQ.
    associate_s: float
    #: Between two requests: some senders read from tape.
    idle_s: float
    #: Within a request, where nothing comes; what comes gives more (`pace.py`).
    stall_s: float
    #: Gives TLS as it is to be spoken now; None: none is.
    tls: Callable[[], ssl.SSLContext] | None = None
    #: Takes reports on storage commitments; without it none are.
    take_report: Callable[[CommitmentEvent], StoreResponse] | None = None
    #: Gives, for a transfer syntax, what decides whether bulk data is left out; None: it is not for now.
    leave_out: Callable[[str], Callable[[bytes], bool] | None] = lambda _transfer_syntax_uid: None
    #: Logs what is wrong with connections.
    bad_connections: LogBudget = field(default_factory=LogBudget)
