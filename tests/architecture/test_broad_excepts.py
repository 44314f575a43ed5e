"""Everything is caught only where a loop or a thread must live on."""

from __future__ import annotations

import ast

from tests.architecture.source_tree import Module, source_tree

#: Places where everything is caught: tops of threads and loops that must live on; each logs the defect.
BROAD = {
    "services/cli/main.py": 1,  # a defect gets an exit code of its own
    "services/store/index/announcer.py": 1,
    "services/store/index/group_commit.py": 1,  # the waiting associations get a response
    "services/store/scp/association.py": 1,  # the sender gets a status, the association lives on
    "services/store/handover/worker.py": 1,
    "services/store/scp/server.py": 1,
    "services/store/index/folder_scan.py": 1,
    "services/store/dose_reports/reader_main.py": 1,  # one report must not keep the others from being read
    "services/store/dose_reports/reader.py": 1,
    "services/web/notifier/watcher.py": 1,  # the defect of one observation must not hide the others
    "services/web/notifier/dispatcher.py": 1,
    "shared/broker/bridge/server.py": 1,
    "shared/broker/bridge/client.py": 1,
    "shared/broker/memory/broker.py": 1,
    "shared/broker/handler_pool.py": 2,  # a handler's or subscriber's defect must not end the consumer
    "shared/broker/rabbitmq/consumer.py": 1,
    "shared/process/periodic.py": 1,  # one defect must not keep other work from being done
    "simulator/network/connection.py": 1,
}


def broad_handlers(module: Module) -> int:
    names = {"Exception", "BaseException"}
    return sum(
        isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in names))
        and not any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
        for node in module.nodes()
    )


def test_everything_is_caught_only_in_listed_places():
    # Given
    modules = source_tree().modules

    # When
    found = {module.path: broad_handlers(module) for module in modules if broad_handlers(module)}

    # Then
    assert found == BROAD
