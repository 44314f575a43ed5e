"""No SimpleQueue is waited for with a time-out, which may last for ever.

CPython 3.11 computes what is left of the time-out once more after it began to wait; if nothing is
left it waits without one, until the next item comes.
"""

from __future__ import annotations

import ast

from tests.architecture.source_tree import Module, source_tree


def waits_with_timeout(module: Module) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and any(keyword.arg in {"timeout", "block"} for keyword in node.keywords)
        for node in module.nodes()
    )


def test_no_simple_queue_is_waited_for_with_a_time_out():
    wrong = [
        module.path
        for module in source_tree().modules
        if "SimpleQueue" in module.identifiers() and waits_with_timeout(module)
    ]
    assert wrong == []
