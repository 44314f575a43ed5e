"""A private RabbitMQ node: started as an ordinary command, on 127.0.0.1 only, and gone with us."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.local.ports import free_ports
from shared.broker.rabbitmq.connection import can_open
from shared.errors import RetriableError

#: Seconds until a node must take AMQP connections (about five on an idle machine).
START_TIMEOUT_S = 90.0

#: Seconds for a node to end by itself before it is killed.
STOP_TIMEOUT_S = 15.0

#: Seconds between two polls of a starting node.
POLL_INTERVAL_S = 0.05

#: What is shown of a node that ended while it started, in characters.
LAST_OUTPUT_LENGTH = 300

#: Folders of nodes: this, the pid of the process that started the node, something random.
FOLDER_PREFIX = "rabbitmq-"

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NodeError(RetriableError):
    """The private node did not start."""


def find_server_script() -> Path | None:
    """Return the script that really starts RabbitMQ.

    Debian's command on the PATH changes to the user rabbitmq when root calls it, and refuses everybody else.
    """
    packaged = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if packaged:
        return packaged[-1]
    found = shutil.which("rabbitmq-server")
    return Path(found).resolve() if found else None


def find_epmd() -> Path | None:
    """Return Erlang's port mapper."""
    found = shutil.which("epmd")
    if found:
        return Path(found)
    return next(iter(sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))), None)


@dataclass
class PrivateNode:
    """One node with its folder, its ports and its own port mapper."""

    folder: Path
    script: Path
    epmd: Path
    port: int
    dist_port: int
    epmd_port: int
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    _node: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _mapper: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where it takes AMQP connections, with its login."""
        return f"amqp://doseqr:{self.password}@127.0.0.1:{self.port}/%2f"

    @property
    def name(self) -> str:
        """The node's name in Erlang's distribution."""
        return f"doseqr-{self.port}@localhost"

    @property
    def environment(self) -> dict[str, str]:
        """Every variable that the node and RabbitMQ's tools for it need; nothing is inherited."""
        own_tools = os.pathsep.join({str(self.epmd.parent), str(self.script.parent)})
        return {
            "PATH": f"{_SYSTEM_PATH}{os.pathsep}{own_tools}",
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            # With this the script becomes the node, instead of waiting for it: our child's pid is the node's.
            "RABBITMQ_ALLOW_INPUT": "true",
            # Its threads do not spin while they wait for work: it shares the machine with all else.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1} "
            "+sbwt none +sbwtdcpu none +sbwtdio none",
        }

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._node is not None and self._node.poll() is None

    def start(self) -> None:
        """Start it and wait until it takes the login.

        Raises:
            NodeError: it ends immediately, or does not respond in time; nothing is left running.
        """
        self._write_configuration()
        try:
            self._mapper = self._spawn(
                [str(self.epmd), "-port", str(self.epmd_port), "-address", "127.0.0.1"]
            )
            self._await(self._mapper, lambda: is_listening(self.epmd_port), "Erlang's port mapper")
            self._node = self._spawn([str(self.script)])
            self._await(self._node, lambda: is_listening(self.port) and can_open(self.url), "RabbitMQ")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the node and its port mapper. Safe to repeat."""
        _end(self._node, STOP_TIMEOUT_S)
        _end(self._mapper, 2.0)
        self._node = self._mapper = None

    def kill(self) -> None:
        """End the node at once, as a power cut would; its data stay and `start` goes on with them."""
        _end(self._node, 0.0)
        self.stop()

    def ctl(self, *arguments: str, timeout_s: float = 60.0) -> str:
        """Run rabbitmqctl against this node and return what it prints.

        Raises:
            NodeError: it fails.
        """
        command = [str(self.script.parent / "rabbitmqctl"), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - RabbitMQ's own tool, arguments from us
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=True,
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise NodeError(f"rabbitmqctl {arguments[0]} failed") from error
        return done.stdout

    def _write_configuration(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration = self.folder / "rabbitmq.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "default_user = doseqr\n"
            f"default_pass = {self.password}\n"
            "log.console = false\n"
            "log.file = node.log\n"
            "log.file.level = warning\n",
            encoding="utf-8",
        )
        (self.folder / "plugins").write_text("[].\n", encoding="utf-8")

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        guard = shutil.which("setpriv")
        if guard:
            # Linux then ends the child when we are killed without a chance to do it.
            command = [guard, "--pdeathsig", "TERM", *command]
        with (self.folder / "out.txt").open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - found by us, arguments from us
                command,
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Its own session: Ctrl-C in our terminal is for us, and we end the node in order.
                start_new_session=True,
            )

    def _await(self, process: subprocess.Popen[bytes], responds: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not responds():
            if process.poll() is not None:
                raise NodeError(f"{name} ended while it started: {self._last_output()}")
            if time.monotonic() > deadline:
                raise NodeError(f"{name} did not respond within {START_TIMEOUT_S:.0f} s")
            time.sleep(POLL_INTERVAL_S)

    def _last_output(self) -> str:
        lines = (self.folder / "out.txt").read_text(encoding="utf-8", errors="replace").split("\n")
        return " / ".join(line.strip() for line in lines if line.strip())[-LAST_OUTPUT_LENGTH:]


def _end(process: subprocess.Popen[bytes] | None, timeout_s: float) -> None:
    """End a process that leads its own session: terminated first, then killed with all that it started."""
    if process is None:
        return
    if process.poll() is None and timeout_s > 0:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout_s)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def is_listening(port: int) -> bool:
    """Return whether something takes TCP connections on this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def private_node(work_dir: Path, script: Path) -> Iterator[PrivateNode]:
    """Run a node in a folder of its own below `work_dir`; both are gone afterwards.

    Raises:
        NodeError: it does not start.
    """
    epmd = find_epmd()
    if epmd is None:
        raise NodeError("Erlang's port mapper epmd is missing")
    work_dir.mkdir(parents=True, exist_ok=True)
    remove_stale_folders(work_dir)
    folder = work_dir.resolve() / f"{FOLDER_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    port, dist_port, epmd_port = free_ports(3)
    node = PrivateNode(folder, script, epmd, port, dist_port, epmd_port)
    try:
        node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale_folders(work_dir: Path) -> None:
    """Remove folders of nodes whose starter is gone: it was killed without a chance to do it."""
    for folder in work_dir.glob(f"{FOLDER_PREFIX}*-*"):
        pid = folder.name.removeprefix(FOLDER_PREFIX).split("-")[0]
        if pid.isdecimal() and not _is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
