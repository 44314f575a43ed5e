"""What the senders alone cost: the store's own association, of which nothing is kept.

`python -m tests.bench.null_store PORT` responds to every object with success.
"""

from __future__ import annotations

import sys
import threading

from services.store.scp.server import StoreScp, listening_socket
from services.store.store_object import SUCCESS, StoreResponse


def main(port: int) -> None:
    """Receive until the process ends."""
    scp = StoreScp(
        lambda _incoming: StoreResponse(SUCCESS),
        listener=listening_socket("127.0.0.1", port),
        ae_title="NULL",
        stall_timeout_s=30.0,
    )
    scp.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
