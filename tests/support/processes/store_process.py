"""A store in a process of its own, for tests that kill it: `main` takes DATA_DIR PORT LIMIT as arguments.

It runs over its own in-memory broker. LIMIT bounds the size of each file that it writes, in bytes; 0: none.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

import structlog

from services.store.main import start
from shared.broker.memory.broker import MemoryBroker
from shared.database.migrate import migrate
from shared.database.session import Database
from shared.errors import PermanentError
from shared.lifecycle import Lifecycle
from shared.logs import configure
from tests.support.processes.preloaded import preloaded
from tests.support.services.store import store_settings
from tests.support.waiting import wait_until


class StoreProcess:
    """Starts it, waits until it listens, ends it."""

    def __init__(self, data_dir: Path, port: int, *, limit_bytes: int = 0, wait: bool = True) -> None:
        self.log = data_dir / "store.log"
        data_dir.mkdir(parents=True, exist_ok=True)
        arguments = [str(data_dir), str(port), str(limit_bytes)]
        self._process = preloaded().start(__name__, arguments, os.environ, self.log, self.log)
        if wait:
            wait_until(lambda: '"listening"' in self.text() or self._process.poll() is not None)

    def text(self) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        """Kill it with SIGKILL and forget its log."""
        self._process.kill()
        self._process.wait()
        self.log.unlink()

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self) -> int:
        return self._process.wait(timeout=60)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def main() -> int:
    data_dir, port, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    configure("store", "INFO")
    settings = store_settings(data_dir, store_port=port)
    with Lifecycle() as lifecycle:
        lifecycle.install_signals()
        database = Database(settings.database)
        lifecycle.on_stop(database.close)
        migrate(database)
        broker = MemoryBroker()
        try:
            start(settings, broker, database, lifecycle)
        except PermanentError as error:
            structlog.get_logger().critical("cannot run", error=str(error))
            return 5
        lifecycle.wait()
    structlog.get_logger().info("ended", pid=os.getpid())
    return 0
