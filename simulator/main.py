"""Runs a PACS from a file in the foreground, until a signal stops it."""

import argparse
import contextlib
import datetime as dt
import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.process.stop_signals import stop_on_signals
from simulator.dicomweb.server import DicomwebServer
from simulator.scp import ScriptedPacs
from simulator.script import ScriptError, make_pacs, make_web_server, read_script

_WRONG_USAGE = 2
_FAILED = 5

#: The demo PACS.
DEMO = Path(__file__).with_name("demo.toml")


def run(
    path: Path,
    *,
    host: str | None = None,
    port: int | None = None,
    log: Path | None = None,
    destinations: Mapping[str, tuple[str, int]] | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Serve the PACS that a file describes until SIGTERM, SIGINT or `stop`; return an exit code.

    Writes one line "listening on HOST:PORT as AE_TITLE (N studies)" to standard output once it is ready, and
    then "DICOMweb at URL" where the file has DICOMweb.
    `host`, `port` and `destinations` go before those of the file; `log` gets a line of JSON for each request.
    """
    stop = stop or threading.Event()
    try:
        script = read_script(path)
        pacs = make_pacs(
            script,
            folder=path.parent,
            today=dt.datetime.now().astimezone().date(),
            host=host,
            port=port,
            log=log,
            destinations=(destinations or {}).items(),
        )
    except ScriptError as exc:
        sys.stderr.write(f"{exc}\n")
        return _WRONG_USAGE
    if threading.current_thread() is threading.main_thread():
        stop_on_signals(stop)
    return _serve(pacs, make_web_server(script, pacs), stop)


def _serve(pacs: ScriptedPacs, web: DicomwebServer | None, stop: threading.Event) -> int:
    """Serve until `stop`; return an exit code."""
    with contextlib.ExitStack() as started:
        servers: list[ScriptedPacs | DicomwebServer] = [pacs, *([web] if web is not None else [])]
        for server in servers:
            try:
                server.start()
            except OSError as exc:
                sys.stderr.write(f"cannot listen on {server.host}:{server.port}: {exc.strerror}\n")
                return _FAILED
            started.callback(server.stop)
        sys.stdout.write(
            f"listening on {pacs.host}:{pacs.port} as {pacs.ae_title} ({len(pacs.archive)} studies)\n"
        )
        if web is not None:
            sys.stdout.write(f"DICOMweb at {web.url}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line: python -m simulator FILE [--host H] [--port P] [--log FILE]."""
    parser = argparse.ArgumentParser(prog="simulator", description="Serve the PACS that a file describes.")
    parser.add_argument("file", type=Path, nargs="?", default=DEMO, help="TOML file (default: the demo PACS)")
    parser.add_argument("--host", help="listen on this address, whatever stands in the file")
    parser.add_argument("--port", type=int, help="listen here, whatever stands in the file")
    parser.add_argument("--log", type=Path, help="record each request here, a line of JSON each")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    return run(given.file, host=given.host, port=given.port, log=given.log)
