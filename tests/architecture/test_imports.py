"""The import rules of the house, asserted from the source."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("services", "shared", "simulator")
FILES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts
)

#: No I/O, no clock, no environment, no logging: these may be read and tested on their own.
PURE = (
    "shared/contract/",
    "shared/broker/retry.py",
    "shared/broker/topology.py",
    "shared/node_access/limits.py",
    "shared/jobs/retry.py",
    "services/query/rules",
    "shared/querying/",
    "shared/jobs/new_task.py",
    "services/retrieve/planning/bisection.py",
    "services/retrieve/planning/moves.py",
    "services/store/objects/paths.py",
)
IMPURE_MODULES = {
    "os",
    "io",
    "socket",
    "threading",
    "subprocess",
    "time",
    "logging",
    "structlog",
    "random",
    "sqlalchemy",
    "pika",
    "flask",
    "pynetdicom",
    "shared.clock",
    "shared.settings",
    "shared.logs",
}

#: Who may import a library, by the start of the path.
ALLOWED = {
    "pika": ("shared/broker/rabbitmq",),
    "flask": ("services/web/",),
    "flask_login": ("services/web/",),
    "flask_wtf": ("services/web/",),
    "cheroot": ("services/web/",),
    "typer": ("services/cli/",),
    "click": ("services/cli/",),
    "rich": ("services/cli/",),
    "alembic": ("shared/database/",),
    "pynetdicom": ("shared/dicom/", "simulator/"),
}

#: The command line composes: it starts the services and the simulator.
COMPOSERS = {
    "services/cli/services.py",
    "services/cli/embedded.py",
    "services/cli/commands/serve.py",
    "services/cli/commands/simulate.py",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_service_imports_no_other_service(path):
    # Given
    name = name_of(path)
    others = [module for module in imports(path) if below(module, "services") and module != "services"]
    # Then
    if not name.startswith("services/"):
        assert others == []
    elif name not in COMPOSERS:
        own = "services." + name.split("/")[1]
        assert all(below(module, own) for module in others), others


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_composers_and_the_simulator_import_the_simulator(path):
    name = name_of(path)
    if not name.startswith("simulator/") and name not in COMPOSERS:
        assert [module for module in imports(path) if below(module, "simulator")] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_pure_module_does_no_input_or_output(path):
    if name_of(path).startswith(PURE):
        found = {module for module in imports(path) for impure in IMPURE_MODULES if below(module, impure)}
        assert found == set()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_library_is_imported_only_where_it_belongs(path):
    name = name_of(path)
    for library, places in ALLOWED.items():
        if any(below(module, library) for module in imports(path)):
            assert name.startswith(places), f"{library} in {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_environment_is_read_in_one_place(path):
    name = name_of(path)
    source = path.read_text(encoding="utf-8")
    if name != "shared/settings.py" and not name.startswith("services/cli/local/"):
        assert "os.environ" not in source
        assert "getenv" not in source


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_has_one_reason_to_exist(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


#: Places where everything is caught: tops of threads and loops that must live on; each logs the defect.
BROAD = {
    "services/cli/main.py": 1,  # a defect gets an exit code of its own
    "services/store/index/announcer.py": 1,
    "services/store/index/group_commit.py": 1,  # the waiting associations are answered
    "services/store/scp/association.py": 1,  # the sender is answered, the association lives on
    "services/store/handover/worker.py": 1,
    "services/store/scp/server.py": 1,
    "services/store/index/folder_scan.py": 1,
    "services/store/dose_reports/reader_main.py": 1,  # one report must not keep the others from being read
    "services/store/dose_reports/reader.py": 1,
    "shared/broker/bridge/server.py": 1,
    "shared/broker/bridge/client.py": 1,
    "shared/broker/memory/broker.py": 1,
    "shared/broker/handler_pool.py": 2,  # a handler's or subscriber's defect must not end the consumer
    "shared/broker/rabbitmq/consumer.py": 1,
    "simulator/network/connection.py": 1,
}


def broad_handlers(path: Path) -> int:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {"Exception", "BaseException"}
    return sum(
        isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in names))
        and not any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_everything_is_caught_only_in_listed_places(path):
    name = name_of(path)
    assert broad_handlers(path) == BROAD.get(name, 0)
