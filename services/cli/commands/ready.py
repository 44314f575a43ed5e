"""`doseqr ready`: wait until all services respond."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_broker, service_of
from services.cli.commands.serve import Service
from services.cli.output.console import JsonOption, line, notice, print_json
from services.cli.output.exit_codes import AWAY
from shared.errors import DoseQRError

if TYPE_CHECKING:
    from shared.settings import Settings

#: Seconds between two checks.
PAUSE_S = 0.5
#: Seconds that the page may take to respond.
HTTP_TIMEOUT_S = 5.0
#: Addresses to listen on, and the addresses to call instead.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


def ready(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait.")] = 30.0,
    service: Annotated[list[Service] | None, typer.Option(help="Only this service; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Wait until every service responds; exit code 4, and the names of those that do not, otherwise.

    Example: doseqr ready --timeout 60
    """
    from shared.logs import configure
    from shared.settings import load

    wanted = service or list(Service)
    configure("cli", "CRITICAL")
    # Loaded at each check: a system that begins now leaves its address in the data folder.
    missing = wait_until_ready(load, wanted, timeout)
    if as_json:
        print_json({"ready": not missing, "missing": missing})
    elif not missing:
        line("ready: " + ", ".join(wanted))
    if missing:
        notice("Not ready: " + "; ".join(missing))
        raise typer.Exit(AWAY)


def wait_until_ready(
    settings_now: Callable[[], Settings],
    wanted: Sequence[Service],
    timeout_s: float,
    go_on: Callable[[], bool] = lambda: True,
) -> list[str]:
    """Wait until all services respond; return what is missing at the end, in words."""
    deadline = time.monotonic() + timeout_s
    while True:
        missing = not_ready(settings_now(), wanted)
        left_s = deadline - time.monotonic()
        if not missing or left_s <= 0 or not go_on():
            return missing
        time.sleep(min(PAUSE_S, left_s))


def not_ready(settings: Settings, wanted: Sequence[Service]) -> list[str]:
    """Return what does not respond now, in words."""
    missing = _quiet_queues(settings, wanted)
    if Service.WEB in wanted:
        missing += _quiet_page(settings)
    # Last, and only if all else is ready: each check is an association in the store's log.
    if Service.STORE in wanted and not missing:
        missing += quiet_store(settings)
    return missing


def _quiet_queues(settings: Settings, wanted: Sequence[Service]) -> list[str]:
    from shared.broker.topology import QUEUES

    queues = [spec.name for spec in QUEUES if service_of(spec.name) in wanted]
    if not queues:
        return []
    try:
        with opened_broker(settings) as broker:
            return [f"nobody listens on {q}" for q in queues if broker.queue_state(q).consumers == 0]
    except DoseQRError as error:
        return [f"broker: {error}"]


def quiet_store(settings: Settings) -> list[str]:
    """Return why DoseQR's own store does not respond, or nothing."""
    from shared.dicom.association.c_echo import open_echo_association
    from shared.dicom.errors import Outcome, PeerError
    from shared.nodes.peers import own_store_of, timeouts_of

    peer = own_store_of(settings)
    try:
        open_echo_association(peer, timeouts_of(settings)).release()
    except PeerError as error:
        # Where only some may send, and the store itself is none of them, a rejection is its response.
        admitted = settings.store_calling_ae_titles
        if error.outcome is Outcome.REJECTED and admitted and peer.calling_ae_title not in admitted:
            return []
        return [f"store at {peer.host}:{peer.port}: {error}"]
    return []


def _quiet_page(settings: Settings) -> list[str]:
    import http.client

    host = _ANY.get(settings.web_host, settings.web_host)
    connection = http.client.HTTPConnection(host, settings.web_port, timeout=HTTP_TIMEOUT_S)
    try:
        connection.request("GET", "/health/ready")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return [f"web at {host}:{settings.web_port}: {type(error).__name__}"]
    finally:
        connection.close()
    return [] if status == http.client.OK else [f"web at {host}:{settings.web_port}: HTTP {status}"]
