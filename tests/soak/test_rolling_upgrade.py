"""Workers of the version before and of this one on the same jobs, on the database of this one."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.contract.messages import RunRetrieve
from tests.e2e.archive import mixed_archive
from tests.e2e.slow import ONE_BY_ONE, all_arrived_once, as_undisturbed, begin_slow_query, many_images
from tests.support.processes.installation import ROOT, Installation, Running, installed, observed
from tests.support.waiting import wait_until

#: Where the migrations lie.
MIGRATIONS = "shared/database/migrations/versions"

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Version:
    """A version from the history of this checkout, and how it ends at the database of a later one."""

    commit: str
    exit_code: int


#: What was released as 0.2.0, with migration 0011.
RELEASED = Version("bb3c9e1a3fbf90a3512d361221f1d403a5ee81a4", 5)
#: Before migration 0039; and before the newest.
TRACES = Version("684b9f127b01ca9d2ab80bea16d2483952996091", 4)
NEWEST = Version("", 4)


@dataclass(frozen=True)
class EarlierCode:
    """The code of a version, in a folder."""

    version: Version
    folder: Path


@pytest.fixture(params=[RELEASED, TRACES, NEWEST], ids=["0.2.0", "before-0039", "before-the-newest"])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> EarlierCode:
    """The code of a version before, from the history of this checkout."""
    archive, folder = tmp_path / "earlier.zip", tmp_path / "earlier"
    try:
        commit = (
            request.param.commit
            or f"{_git('log', '-1', '--diff-filter=A', '--format=%H', '--', MIGRATIONS)}~1"
        )
        _git("archive", "-o", str(archive), commit, "services", "shared")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this checkout has no history with the version before")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return EarlierCode(request.param, folder)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def serve_earlier(installation: Installation, code: Path, service: str) -> Running:
    """Start a service of the version before; it may end at once."""
    # -P: the folder in which it is started holds the newer code.
    command = [sys.executable, "-P", "-m", "services.cli.main", "serve", service]
    return installation.run(command, PYTHONPATH=str(code))


def is_ready(process: Running) -> bool:
    assert process.running, process.text()[-3000:]
    return '"event": "ready"' in process.text()


def test_workers_of_two_versions_share_jobs_and_lose_nothing(
    tmp_path: Path, earlier: EarlierCode, rabbitmq_url, amqp_prefix, mortal_postgres, scripted_pacs
) -> None:
    # Given workers of the version before, on a database that they made
    archive = [*mixed_archive(60), *many_images()]
    pacs = scripted_pacs(archive, **ONE_BY_ONE)
    url = mortal_postgres.url.replace("postgresql://", "postgresql+psycopg://")
    with installed(tmp_path / "i", rabbitmq_url, amqp_prefix, database_url=url) as installation:
        old = {
            name: serve_earlier(installation, earlier.folder, name) for name in ("query", "retrieve", "store")
        }
        for process in old.values():
            wait_until(lambda process=process: is_ready(process), timeout_s=60)  # type: ignore[misc]
        # When one of this version comes, which migrates the database
        new = dict(zip(("query", "retrieve"), installation.serve("query", "retrieve"), strict=True))
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            for service in new:
                observer.wait_for_consumers(service, 2)
            job_id = begin_slow_query(observer, pacs)
            for process in (old["query"], new["query"]):
                observer.task_in_progress_of("query", process)
            # Then
            as_undisturbed(observer, pacs, job_id)
            # And: a retrieve, to the store of the version before
            pacs.change(store_pause_s=0.05)
            retrieve_id = observer.command(RunRetrieve(query_id=job_id))
            for process in (old["retrieve"], new["retrieve"]):
                observer.task_in_progress_of("retrieve", process)
            all_arrived_once(observer, pacs, retrieve_id, archive)
            # And: one of the version before that starts again says in words that it cannot
            old["query"].terminate()
            again = serve_earlier(installation, earlier.folder, "query").wait(60)
            assert again.code == earlier.version.exit_code
            assert "belongs to another version of DoseQR" in again.out + again.err
            # And: the others go on
            assert old["store"].running
            assert old["retrieve"].running
