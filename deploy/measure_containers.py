"""Start the compose file afresh; print the size of the image, a cold start by steps, and the CPU while idle.

Needs docker with compose; begins and ends with everything removed. Run on a quiet machine:

    python3 deploy/measure_containers.py [--no-build] [--idle SECONDS]

Exit code 1: a goal was missed (our layers, the first answered query, the idle processor time).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROJECT = "doseqr-measured"
COMPOSE = ("docker", "compose", "--project-name", PROJECT, "--profile", "demo")

#: Goals: bytes of our layers, seconds until the first query is answered, share of one core while idle.
LAYERS_BYTES, ANSWERED_S, IDLE_SHARE = 115_000_000, 60.0, 0.05
#: Seconds after the first query in which the system settles.
SETTLE_S = 30.0
QUERY = ("query", "--remote", "demo-pacs", "--store", "doseqr", "--ct", "--json")


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-build", action="store_true", help="use the image as it is")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds over which idle CPU is measured")
    given = parser.parse_args(arguments)
    if not given.no_build:
        run(*COMPOSE, "build", "--quiet")
    missed = [show_layers()]
    run(*COMPOSE, "down", "--volumes", "--timeout", "10")
    try:
        missed += [show_start(), show_idle(given.idle)]
    finally:
        run(*COMPOSE, "down", "--volumes", "--timeout", "10")
    return 1 if any(missed) else 0


def show_layers() -> bool:
    """Print the size of what we add to the base image; return whether it is too large."""
    ours = run("docker", "history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", "doseqr:latest")
    layers = [line.split(" ", 1) for line in ours.splitlines()]
    # What follows the first layer that names neither our files nor our user is the base.
    size = sum(int(size) for size, made_by in layers if "doseqr" in made_by)
    show(f"our layers of the image: {size / 1e6:.1f} MB", LAYERS_BYTES / 1e6, "MB", size > LAYERS_BYTES)
    return size > LAYERS_BYTES


def show_start() -> bool:
    """Print what a cold start is made of; return whether its first query is answered too late."""
    began, began_s = datetime.now(UTC), time.monotonic()
    run(*COMPOSE, "up", "--detach")
    up_s = time.monotonic() - began_s
    answered = json.loads(until(began_s + 300, *COMPOSE, "exec", "-T", "web", "doseqr", *QUERY))
    answered_s = time.monotonic() - began_s
    run(*COMPOSE, "up", "--detach", "--wait", "--wait-timeout", "300")
    healthy_s = time.monotonic() - began_s
    print(f"{'container':28} {'started':>8} {'healthy':>8} {'ended':>8} {'CPU s':>8}")
    for container in containers(all_of_them=True):
        state = container["State"]
        checks = state.get("Health", {}).get("Log") or []
        healthy = next((check["End"] for check in checks if check["ExitCode"] == 0), "")
        times = (since(began, moment) for moment in (state["StartedAt"], healthy, state["FinishedAt"]))
        used = f"{used_s(container['Id']):8.1f}" if state["Running"] else f"{'':>8}"
        print(f"{name_of(container):28} {' '.join(times)} {used}")
    print(f"compose up returned after {up_s:.1f} s, all healthy after {healthy_s:.1f} s at most")
    late = answered["status"] != "completed" or answered_s > ANSWERED_S
    show(f"first query {answered['status']} after {answered_s:.1f} s", ANSWERED_S, "s", late)
    return late


def show_idle(seconds: float) -> bool:
    """Print the processor time of each container over a while; return whether it is too much."""
    time.sleep(SETTLE_S)
    idle = containers()
    before, began_s = {container["Id"]: used_s(container["Id"]) for container in idle}, time.monotonic()
    time.sleep(seconds)
    passed_s = time.monotonic() - began_s
    shares = {
        name_of(container): (used_s(container["Id"]) - before[container["Id"]]) / passed_s
        for container in idle
    }
    for name, share in sorted(shares.items(), key=lambda item: -item[1]):
        print(f"{name:28} {share:8.2%}")
    total = sum(share for name, share in shares.items() if name != "demo-pacs")
    show(f"idle, without the demo PACS: {total:.2%} of a core", IDLE_SHARE * 100, "%", total > IDLE_SHARE)
    return total > IDLE_SHARE


def show(figure: str, goal: float, unit: str, missed: bool) -> None:
    """Print a figure and its goal."""
    print(f"{figure} (goal {goal:.0f} {unit}){': MISSED' if missed else ''}")


def containers(*, all_of_them: bool = False) -> list[dict[str, Any]]:
    """Return what the engine knows of the containers, in the order of their start."""
    ids = run(*COMPOSE, "ps", "--quiet", *(["--all"] if all_of_them else [])).split()
    found: list[dict[str, Any]] = json.loads(run("docker", "inspect", *ids))
    return sorted(found, key=lambda container: str(container["State"]["StartedAt"]))


def name_of(container: dict[str, Any]) -> str:
    """Return a container's name without that of the project."""
    return str(container["Name"]).removeprefix(f"/{PROJECT}-").removesuffix("-1")


def since(began: datetime, moment: str) -> str:
    """Return the seconds from a moment to one that the engine wrote; blanks where it did not happen."""
    if not moment or moment.startswith("0001"):
        return f"{'':>8}"
    # Nine digits of a second are more than Python reads.
    return f"{(datetime.fromisoformat(moment[:19] + '+00:00') - began).total_seconds():8.0f}"


def used_s(container: str) -> float:
    """Return the processor seconds of a container, its health checks included."""
    connection = Engine()
    connection.request("GET", f"/containers/{container}/stats?stream=false&one-shot=true")
    usage = json.loads(connection.getresponse().read())["cpu_stats"]["cpu_usage"]["total_usage"]
    connection.close()
    return float(usage) / 1e9


class Engine(http.client.HTTPConnection):
    """The engine's API at its socket."""

    def __init__(self) -> None:
        super().__init__("localhost", timeout=30)

    def connect(self) -> None:
        """Connect to the socket that DOCKER_HOST names."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(
            os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
        )


def until(deadline_s: float, *command: str) -> str:
    """Run a command until it succeeds; return what it prints."""
    while True:
        done = subprocess.run(  # noqa: S603 - our own commands
            command, cwd=ROOT, check=False, capture_output=True, text=True
        )
        if done.returncode == 0:
            return done.stdout
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{' '.join(command)}: {done.stderr[-1000:]}")
        time.sleep(0.5)


def run(*command: str) -> str:
    """Run a command; return what it prints."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-1000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
