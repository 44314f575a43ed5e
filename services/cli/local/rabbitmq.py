"""A RabbitMQ for everyone: the one that is given, one that is there, a private one, or none and saying so."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from services.cli.local.debian_package import can_install, install_rabbitmq
from services.cli.local.docker_rabbitmq import docker_node
from services.cli.local.private_rabbitmq import (
    NodeError,
    find_server_script,
    is_listening,
    private_node,
)
from shared.broker.factory import MEMORY_URL
from shared.broker.rabbitmq.connection import can_open

#: RabbitMQ's port and login as they come (only from the same machine).
DEFAULT_PORT = 5672
DEFAULT_URL = f"amqp://guest:guest@127.0.0.1:{DEFAULT_PORT}/%2f"

#: Seconds for whatever listens there to prove that it is a RabbitMQ.
PROBE_TIMEOUT_S = 3.0

#: Printed where there is no broker.
WITHOUT_BROKER = (
    "No RabbitMQ can be had, so DoseQR runs embedded (memory://): all services in one process, the same code"
    " and ledger. Left out: other systems cannot send commands or follow events, services cannot run in"
    " processes or on machines of their own, and after a crash the queues are filled again from the ledger"
    " only at the next start."
)

Report = Callable[[str], None]


#: One way to a broker: its URL, or None where it does not work; what it starts goes on the stack.
Step = Callable[[Path, Report, contextlib.ExitStack], str | None]


@contextlib.contextmanager
def ensure_rabbitmq(
    settings_url: str | None, work_dir: Path, report: Report, steps: Sequence[Step] | None = None
) -> Iterator[str]:
    """Yield the URL of a broker; what is started for it ends with the context.

    Taken is the first that works: the URL of the settings; a RabbitMQ at 127.0.0.1:5672 with the default
    login; a private node from an installed rabbitmq-server; the same after installing Debian's package (root
    only); a container; and where none of these is, embedded mode. `report` gets a sentence for each step.
    """
    with contextlib.ExitStack() as stack:
        if settings_url is not None:
            report("Using the broker that DOSEQR_AMQP_URL names.")
            yield settings_url
            return
        # Something of ours may run: a SIGTERM must lead through the end of the context.
        stack.enter_context(orderly_sigterm())
        for step in STEPS if steps is None else steps:
            url = step(work_dir, report, stack)
            if url is not None:
                break
        else:
            report(WITHOUT_BROKER)
            url = MEMORY_URL
        yield url


def _try_default(_work_dir: Path, report: Report, _stack: contextlib.ExitStack) -> str | None:
    if not (is_listening(DEFAULT_PORT) and can_open(DEFAULT_URL, PROBE_TIMEOUT_S)):
        return None
    report(f"Using the RabbitMQ that listens on 127.0.0.1:{DEFAULT_PORT}.")
    return DEFAULT_URL


def _try_private(work_dir: Path, report: Report, stack: contextlib.ExitStack) -> str | None:
    script = find_server_script()
    if script is None:
        report("RabbitMQ is not installed on this machine.")
        return None
    report("Starting a private RabbitMQ on 127.0.0.1 (some seconds); it ends with this program.")
    try:
        node = stack.enter_context(private_node(work_dir, script))
    except NodeError as error:
        report(f"The private RabbitMQ did not start: {error}.")
        return None
    report(f"The private RabbitMQ listens on 127.0.0.1:{node.port}.")
    return node.url


def _try_installed(work_dir: Path, report: Report, stack: contextlib.ExitStack) -> str | None:
    if find_server_script() is not None or not can_install():
        return None
    report("Installing Debian's package rabbitmq-server with apt-get; its system service is not started.")
    if not install_rabbitmq():
        report("The package could not be installed.")
        return None
    return _try_private(work_dir, report, stack)


def _try_docker(work_dir: Path, report: Report, stack: contextlib.ExitStack) -> str | None:
    if shutil.which("docker") is None:
        report("Docker is not installed on this machine either.")
        return None
    report("Starting RabbitMQ in a container (a first time it is downloaded); it ends with this program.")
    try:
        url, port = stack.enter_context(docker_node(work_dir))
    except NodeError as error:
        report(f"The container did not start: {error}.")
        return None
    report(f"RabbitMQ in a container listens on 127.0.0.1:{port}.")
    return url


STEPS: tuple[Step, ...] = (_try_default, _try_private, _try_installed, _try_docker)


@contextlib.contextmanager
def orderly_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack like Ctrl-C does, unless somebody handles it already."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is _leave:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
