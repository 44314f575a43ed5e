"""The walk of one study through the source is short, and docs/development.md describes it as it is."""

from __future__ import annotations

import ast
import re

from tests.architecture.source_tree import ROOT, Function, Module, source_tree

#: Files from the C-FIND response to the row with the decision.
MOST_FILES = 12

_STEP = re.compile(r"^\| (\d+) \| `([\w/]+\.py)` \| `([\w.]+)` \|", re.MULTILINE)
STEPS = _STEP.findall((ROOT / "docs" / "development.md").read_text(encoding="utf-8"))
BY_PATH = {module.path: module for module in source_tree().modules}


def functions_of(module: Module) -> set[str]:
    """Return the functions of a module, those of classes with their class."""
    names = {node.name for node in module.tree.body if isinstance(node, Function)}
    return names | {
        f"{node.name}.{member.name}"
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
        for member in node.body
        if isinstance(member, Function)
    }


def test_the_walk_of_a_study_crosses_few_files():
    assert [int(number) for number, _, _ in STEPS] == list(range(1, len(STEPS) + 1))
    assert 0 < len({path for _, path, _ in STEPS}) <= MOST_FILES


def test_each_function_of_the_walk_is_in_its_file():
    wrong = [
        f"{path}: {name}"
        for _, path, name in STEPS
        if path not in BY_PATH or name not in functions_of(BY_PATH[path])
    ]
    assert wrong == []


def test_each_file_of_the_walk_is_next_to_one_before_it():
    # Given
    modules = [BY_PATH[path] for _, path, _ in STEPS]
    imports = source_tree().dependencies

    # When: one imports the other, or receives it from `tasks.py`, which composes them
    composed = imports[BY_PATH["services/query/tasks.py"]]
    wrong = [
        module.path
        for number, module in enumerate(modules[1:], 1)
        if not any(
            module in imports[before] or before in imports[module] or {module, before} <= composed
            for before in modules[:number]
        )
    ]

    # Then
    assert wrong == []
