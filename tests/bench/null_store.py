"""What the senders and the store's own associations cost: nothing is known of what comes.

`python -m tests.bench.null_store PORT` responds to every object with success and keeps nothing of it. With a
FOLDER each object is written there first, as DoseQR promises it: file and folder are synced. Each association
has a folder below it.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from services.store.scp.server import StoreScp, Take, listening_socket
from services.store.store_object import SUCCESS, CStoreRequest, StoreResponse
from shared.dicom.part10 import file_head
from tests.bench.bare_store import SyncedFiles


def main(port: int, take: Take) -> None:
    """Receive until the process ends."""
    scp = StoreScp(
        take,
        listener=listening_socket("127.0.0.1", port),
        ae_title="NULL",
        stall_timeout_s=30.0,
    )
    scp.start()
    threading.Event().wait()


def forget(_request: CStoreRequest) -> StoreResponse:
    """Take an object and keep nothing of it."""
    return StoreResponse(SUCCESS)


def synced(folder: Path) -> Take:
    """Return what writes each object into a folder of its association, which has a thread of its own."""
    files = SyncedFiles(folder)
    own = threading.local()

    def take(request: CStoreRequest) -> StoreResponse:
        if not hasattr(own, "folder"):
            own.folder = files.make_folder()
        head = file_head(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=request.transfer_syntax_uid,
        )
        files.keep(own.folder, head, request.data_set, sync_name=True)
        return StoreResponse(SUCCESS)

    return take


if __name__ == "__main__":
    main(int(sys.argv[1]), synced(Path(sys.argv[2])) if sys.argv[2:] else forget)
