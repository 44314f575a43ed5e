"""Pure modules do no input or output, and neither does anything that they import."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source_tree import Module, below, source_tree

#: Held pure by their place; a module or package that calls itself pure in its docstring is held as well.
PURE = (
    "services/query/rules/",
    "services/retrieve/planning/",
    "shared/contract/",
    "shared/querying/",
    "shared/broker/topology.py",
    "shared/dicom/upper_layer/",
)

#: In these folders, but the I/O of what the others decide.
NOT_PURE = {
    "shared/dicom/upper_layer/connection.py",
}

#: Libraries of input and output, clock, chance, threads and logs.
IMPURE = {
    "alembic",
    "asyncio",
    "fcntl",
    "flask",
    "http",
    "io",
    "logging",
    "mmap",
    "multiprocessing",
    "os",
    "pika",
    "pynetdicom",
    "queue",
    "random",
    "secrets",
    "select",
    "selectors",
    "shutil",
    "socket",
    "sqlalchemy",
    "ssl",
    "structlog",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
}

#: Of `io`, but no input or output.
IN_MEMORY = frozenset({"io.BytesIO", "io.StringIO"})

PACKAGES_OF_PURE_MODULES = tuple(
    f"{module.folder}/"
    for module in source_tree().modules
    if module.stem == "__init__" and re.search(r"\bpure\b", module.docstring, re.IGNORECASE)
)


def is_pure(module: Module) -> bool:
    declared = re.search(r"\bpure\b", module.docstring, re.IGNORECASE) is not None
    return module.path not in NOT_PURE and (
        declared or module.path.startswith(PURE + PACKAGES_OF_PURE_MODULES)
    )


def impure_imports(module: Module) -> set[str]:
    names = {name for name in module.imports() if name not in IN_MEMORY}
    if module.imports() & IN_MEMORY:
        names.discard("io")
    return {library for name in names for library in IMPURE if below(name, library)}


PURE_MODULES = [module for module in source_tree().modules if is_pure(module)]


@pytest.mark.parametrize("module", PURE_MODULES, ids=lambda module: module.path)
def test_a_pure_module_reaches_no_input_or_output(module):
    # Given
    reached = source_tree().reachable(module)

    # When
    found = {other.path: impure_imports(other) for other in reached if impure_imports(other)}

    # Then
    assert found == {}


def test_the_pure_modules_are_many():
    assert len(PURE_MODULES) >= 50
