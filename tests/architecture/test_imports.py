"""Who may import whom, and which library."""

from __future__ import annotations

from tests.architecture.figures import circles
from tests.architecture.source_tree import Module, below, source_tree

#: Who may import a library, by the start of the path.
ALLOWED = {
    "pika": ("shared/broker/rabbitmq/",),
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

#: The command line composes: it starts the services and the simulator, and prints what they offer.
COMPOSERS = {
    "services/cli/commands/handover.py",
    "services/cli/commands/operation/reread.py",
    "services/cli/commands/operation/schema.py",
    "services/cli/commands/serve.py",
    "services/cli/commands/simulate.py",
}

#: What DICOM modules use of `shared`: they can be read, tested and reused without settings and database.
DICOM_MAY_IMPORT = ("shared/dicom/", "shared/identifiers.py", "shared/errors.py", "shared/clock.py")


def imports_below(module: Module, package: str) -> list[str]:
    return sorted(name for name in module.imports() if below(name, package) and name != package)


def test_a_service_imports_no_other_service():
    wrong = []
    for module in source_tree().modules:
        if module.path in COMPOSERS:
            continue
        own = "services." + module.path.split("/")[1] if module.path.startswith("services/") else "nothing"
        wrong += [
            f"{module.path}: {name}" for name in imports_below(module, "services") if not below(name, own)
        ]
    assert wrong == []


def test_only_composers_and_the_simulator_import_the_simulator():
    wrong = [
        f"{module.path}: {name}"
        for module in source_tree().modules
        if not module.path.startswith("simulator/") and module.path not in COMPOSERS
        for name in imports_below(module, "simulator")
    ]
    assert wrong == []


def test_the_simulator_shares_no_code_with_what_it_tests():
    wrong = [
        f"{module.path}: {name}"
        for module in source_tree().modules
        if module.path.startswith("simulator/")
        for name in [*imports_below(module, "services"), *imports_below(module, "shared")]
        if not below(name, "shared.process.stop_signals")
    ]
    assert wrong == []


def test_a_library_is_imported_only_where_it_belongs():
    wrong = [
        f"{module.path}: {library}"
        for module in source_tree().modules
        for library, places in ALLOWED.items()
        if any(below(name, library) for name in module.imports()) and not module.path.startswith(places)
    ]
    assert wrong == []


def test_dicom_modules_import_neither_settings_nor_database():
    tree = source_tree()
    wrong = [
        f"{module.path} -> {dependency.path}"
        for module in tree.modules
        if module.path.startswith("shared/dicom/")
        for dependency in tree.dependencies[module]
        if not dependency.path.startswith(DICOM_MAY_IMPORT) and dependency.path != "shared/__init__.py"
    ]
    assert wrong == []


def test_folders_import_each_other_in_one_direction():
    assert circles(source_tree()) == []


def test_the_environment_is_read_in_one_place():
    wrong = [
        module.path
        for module in source_tree().modules
        if module.path != "shared/settings.py" and not module.path.startswith("services/cli/local/")
        if "os.environ" in module.source or "getenv" in module.source
    ]
    assert wrong == []
