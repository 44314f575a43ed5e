"""Debian's Orthanc as a PACS and as a store node; `orthanc.json` configures it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.servers.rabbitmq import skip_or_fail
from tests.support.waiting import wait_until

CONFIGURATION = Path(__file__).with_name("orthanc.json")
MISSING = "no Orthanc: install the package orthanc"
DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
MISSING_PLUGIN = "no DICOMweb plug-in: install the package orthanc-dicomweb"


class Orthanc:
    """One Orthanc with empty storage in a folder of its own, on free ports of 127.0.0.1."""

    def __init__(self, program: str, folder: Path, ae_title: str, **options: Any) -> None:
        self.ae_title = ae_title
        self.host = "127.0.0.1"
        self.port, self.http_port = free_port(), free_port()
        self._folder = folder
        self._program = program
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dicomweb_url(self) -> str:
        """Where it serves DICOMweb, if it loads the plug-in."""
        return f"http://{self.host}:{self.http_port}/dicom-web"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        """Where it writes its log."""
        return self._folder / "log"

    @property
    def storage(self) -> Path:
        """Where it keeps its files."""
        return self._folder / "storage"

    def log_requests(self) -> None:
        """Let it write every association, C-FIND and HTTP request into its log."""
        for category in ("dicom", "http"):
            self._request("PUT", f"/tools/log-level-{category}", b"verbose")

    def start(self) -> None:
        """Start it and wait until it responds."""
        configuration = json.loads(CONFIGURATION.read_text(encoding="utf-8"))
        configuration |= {
            "StorageDirectory": str(self._folder / "storage"),
            "IndexDirectory": str(self._folder / "storage"),
            "HttpPort": self.http_port,
            "DicomAet": self.ae_title,
            "DicomPort": self.port,
        } | self._options
        path = self._folder / "orthanc.json"
        path.write_text(json.dumps(configuration), encoding="utf-8")
        log = self.log.open("wb")
        self._process = subprocess.Popen([self._program, str(path)], stdout=log, stderr=log)
        log.close()
        wait_until(self._responds)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def _responds(self) -> bool:
        try:
            return bool(self.get("/system"))
        except urllib.error.URLError:
            return False

    def get(self, path: str) -> Any:
        """Return the JSON of a resource."""
        return json.loads(self._request("GET", path))

    def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        url = f"http://{self.host}:{self.http_port}{path}"
        request = urllib.request.Request(url, data=body, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            content: bytes = response.read()
            return content

    def add(self, files: Iterable[Path]) -> list[Path]:
        """Store files; return those that it took."""
        taken = []
        for path in files:
            try:
                self._request("POST", "/instances", path.read_bytes())
            except urllib.error.HTTPError:
                continue
            taken.append(path)
        return taken

    def add_bytes(self, content: bytes) -> None:
        """Store one file."""
        self._request("POST", "/instances", content)

    def send_to(self, ae_title: str, host: str, port: int, *, tls: bool = False) -> None:
        """Let it know a move destination."""
        body = json.dumps({"AET": ae_title, "Host": host, "Port": port, "UseDicomTls": tls}).encode()
        self._request("PUT", f"/modalities/{ae_title.lower()}", body)

    def send_all(self, ae_title: str) -> None:
        """Send everything to a destination that it knows."""
        instances = json.dumps(self.get("/instances")).encode()
        self._request("POST", f"/modalities/{ae_title.lower()}/store", instances)

    def sop_instance_uids(self) -> set[str]:
        """Return all that it holds."""
        instances = self.get("/instances?expand&since=0&limit=100000")
        return {instance["MainDicomTags"]["SOPInstanceUID"] for instance in instances}

    def file_of(self, sop_instance_uid: str) -> bytes:
        """Return a file as it was stored."""
        found = json.loads(self._request("POST", "/tools/lookup", sop_instance_uid.encode()))
        instance = next(resource["ID"] for resource in found if resource["Type"] == "Instance")
        return self._request("GET", f"/instances/{instance}/file")


def with_dicomweb() -> dict[str, Any]:
    """Return the options of an Orthanc that serves DICOMweb."""
    if not DICOMWEB_PLUGIN.exists():
        skip_or_fail(MISSING_PLUGIN)
    return {"Plugins": [str(DICOMWEB_PLUGIN)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}


@contextlib.contextmanager
def orthancs(folder: Path) -> Iterator[Callable[..., Orthanc]]:
    """Give a function that starts Orthancs, each with its AE title and options; they end with the block."""
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    if not Path(program).exists():
        skip_or_fail(MISSING)
    started: list[Orthanc] = []

    def start(ae_title: str, **options: Any) -> Orthanc:
        own = folder / f"orthanc-{len(started)}"
        (own / "storage").mkdir(parents=True)
        started.append(Orthanc(program, own, ae_title, **options))
        started[-1].start()
        return started[-1]

    try:
        yield start
    finally:
        for orthanc in started:
            orthanc.stop()


@pytest.fixture
def make_orthanc(tmp_path: Path) -> Iterator[Callable[[str], Orthanc]]:
    """Start any number of Orthancs, each with its AE title."""
    with orthancs(tmp_path) as start:
        yield start
