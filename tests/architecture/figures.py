"""Figures of the source that the architecture tests bound, for any checkout.

    python -m tests.architecture.figures [CHECKOUT]
    make figures

A checkout's own copy is not needed: an older one can be put beside today's.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections import Counter, defaultdict
from pathlib import Path

from tests.architecture.source_tree import ROOT, Module, SourceTree, below, source_tree

#: Lines below which a module that only one other imports counts as a fragment of that one.
FRAGMENT_LINES = 75

#: Modules that only compose: they import what they register or pass on, and are not read with it.
COMPOSITIONS = re.compile(
    r"services/(\w+/main|web/app|web/api/blueprint)\.py|shared/database/models/__init__\.py"
)

#: Loop variables that do not name what the collection holds.
EMPTY_LOOP_VARIABLES = {"one", "each"}

#: Module names that end like a gerund and are nouns of the field, or no gerund at all.
NOT_A_GERUND = {"ping", "ring", "setting", "string"}


def modules_with_code(tree: SourceTree) -> list[Module]:
    """Return the modules without those packages' `__init__` that hold a docstring at most."""
    return [module for module in tree.modules if len(module.tree.body) > 1 or module.stem != "__init__"]


def function_lines(tree: SourceTree) -> list[int]:
    """Return the number of lines of every function and method."""
    return [
        (function.end_lineno or function.lineno) - function.lineno + 1
        for module in tree.modules
        for function in module.functions()
    ]


def any_annotations(tree: SourceTree) -> list[str]:
    """Return the places where `Any` stands for a type, imports left out."""
    return [
        f"{module.path}:{node.lineno}"
        for module in tree.modules
        for node in module.nodes()
        if (isinstance(node, ast.Name) and node.id == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
    ]


def sqlalchemy_importers(tree: SourceTree) -> list[str]:
    """Return the modules that import SQLAlchemy itself."""
    return [
        module.path for module in tree.modules if any(below(name, "sqlalchemy") for name in module.imports())
    ]


def small_modules(tree: SourceTree) -> list[Module]:
    """Return the modules under the size of a fragment; packages, entry points and compositions left out."""
    return [
        module
        for module in tree.modules
        if module.stem not in {"__init__", "__main__", "main"} and module.lines < FRAGMENT_LINES
    ]


def fragments(tree: SourceTree) -> list[str]:
    """Return the small modules that exactly one other imports and that must be read together with it.

    Importers that only compose are left out: `main.py` imports a command or a page to register it, and
    `shared.database.models` a table for its metadata. Each of these is read on its own.
    """
    return [
        module.path
        for module in small_modules(tree)
        if [COMPOSITIONS.fullmatch(importer.path) for importer in tree.importers[module]] == [None]
    ]


def fragments_in_their_folder(tree: SourceTree) -> list[str]:
    """Return the fragments whose only importer lies in the same folder."""
    found = set(fragments(tree))
    return [
        module.path
        for module in small_modules(tree)
        if module.path in found
        and [importer.folder for importer in tree.importers[module]] == [module.folder]
    ]


def loops(tree: SourceTree) -> list[tuple[str, str]]:
    """Return the place and each variable of every loop and comprehension."""
    found: list[tuple[str, str]] = []
    for module in tree.modules:
        for node in module.nodes():
            if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
                found += (
                    (f"{module.path}:{name.lineno}", name.id)
                    for name in ast.walk(node.target)
                    if isinstance(name, ast.Name)
                )
    return found


def empty_loops(tree: SourceTree) -> list[str]:
    """Return the loops and comprehensions over `one` or `each`."""
    return [place for place, variable in loops(tree) if variable in EMPTY_LOOP_VARIABLES]


def variables(tree: SourceTree) -> list[tuple[str, str]]:
    """Return the place and name of each variable, attribute and parameter that is bound."""
    found: list[tuple[str, str]] = []
    for module in tree.modules:
        for node in module.nodes():
            if isinstance(node, ast.arg):
                found.append((f"{module.path}:{node.lineno}", node.arg))
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.append((f"{module.path}:{node.lineno}", node.id))
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.append((f"{module.path}:{node.lineno}", node.attr))
    return found


def gerund_modules(tree: SourceTree) -> list[str]:
    """Return the modules and packages that are named by an activity: `reading`, `halving`."""
    named = {module.path: module.stem for module in tree.modules if module.stem != "__init__"}
    return [
        path
        for path, stem in named.items()
        if any(word.endswith("ing") and word not in NOT_A_GERUND for word in stem.split("_")[-1:])
    ]


def gerund_folders(tree: SourceTree) -> list[str]:
    """Return the folders that are named by an activity."""
    folders = sorted({module.folder for module in tree.modules})
    return [folder for folder in folders if folder.rpartition("/")[2].endswith("ing")]


def twin_classes(tree: SourceTree) -> dict[str, list[str]]:
    """Return the public class names that are defined more than once, with where."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module in tree.modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(module.path)
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


def flat_folders(tree: SourceTree) -> Counter[str]:
    """Return the number of modules that lie directly in each folder, `__init__` left out."""
    return Counter(module.folder for module in tree.modules if module.stem != "__init__")


def folder_edges(tree: SourceTree) -> dict[tuple[str, str], list[str]]:
    """Return which folders import which others, with the imports that make up each edge.

    A module that lies beside folders stands for itself: `main.py`, which composes them, is not one with
    `errors.py`, which all of them use.
    """
    composed = {module.folder.rpartition("/")[0] for module in tree.modules} - {""}
    edges: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for module, imported in tree.dependencies.items():
        for dependency in imported:
            edge = _node(module, composed), _node(dependency, composed)
            if edge[0] != edge[1]:
                edges[edge].append(f"{module.path} -> {dependency.path}")
    return dict(edges)


def _node(module: Module, composed: set[str]) -> str:
    return module.path if module.folder in composed else module.folder


def circles(tree: SourceTree) -> list[list[str]]:
    """Return the sets of folders that import each other in a circle."""
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for importer, imported in folder_edges(tree):
        graph[importer].add(imported)
    return knots(graph)


def knots(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the sets of folders that import each other in a circle (Tarjan's components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(folder: str) -> None:
        index[folder] = low[folder] = len(index)
        stack.append(folder)
        for other in sorted(graph.get(folder, ())):
            if other not in index:
                visit(other)
                low[folder] = min(low[folder], low[other])
            elif other in stack:
                low[folder] = min(low[folder], index[other])
        if low[folder] == index[folder]:
            place = stack.index(folder)
            component = stack[place:]
            del stack[place:]
            if len(component) > 1:
                found.append(sorted(component))

    for folder in sorted(graph):
        if folder not in index:
            visit(folder)
    return found


def table(root: Path) -> list[tuple[str, str]]:
    """Return each figure of a checkout with its value."""
    tree = source_tree(root)
    code = modules_with_code(tree)
    sizes = function_lines(tree)
    variables = loops(tree)
    return [
        ("modules", f"{len(code)}"),
        ("lines", f"{sum(module.lines for module in code)}"),
        ("lines of a module, median", f"{statistics.median(module.lines for module in code):.0f}"),
        ("lines of a module, longest", f"{max(module.lines for module in code)}"),
        ("functions", f"{len(sizes)}"),
        ("lines of a function, median", f"{statistics.median(sizes):.0f}"),
        ("lines of a function, 90th percentile", f"{statistics.quantiles(sizes, n=10)[-1]:.0f}"),
        ("lines of a function, longest", f"{max(sizes)}"),
        ("Any", f"{len(any_annotations(tree))}"),
        ("modules that import SQLAlchemy", f"{len(sqlalchemy_importers(tree))}"),
        (f"modules under {FRAGMENT_LINES} lines", f"{len(small_modules(tree))}"),
        ("  of these with one importer", f"{len(fragments(tree))}"),
        ("  of these in its folder", f"{len(fragments_in_their_folder(tree))}"),
        ("loop variables", f"{len(variables)}"),
        ("  of these one or each", f"{len(empty_loops(tree))}"),
        ("modules named by a gerund", f"{len(gerund_modules(tree))}"),
        ("class names with two meanings", f"{len(twin_classes(tree))}"),
        ("largest folder, in modules", f"{max(flat_folders(tree).values())}"),
        ("folders in a circle", f"{sum(map(len, circles(tree)))}"),
    ]


def details(root: Path) -> dict[str, list[str]]:
    """Return what the figures count, place by place."""
    tree = source_tree(root)
    return {
        "fragments": fragments(tree),
        "empty_loops": empty_loops(tree),
        "gerunds": gerund_modules(tree),
        "twins": [f"{name}: {' '.join(places)}" for name, places in twin_classes(tree).items()],
        "sqlalchemy": sqlalchemy_importers(tree),
        "any": [
            f"{path} {count}"
            for path, count in Counter(p.split(":")[0] for p in any_annotations(tree)).most_common()
        ],
        "circles": [
            line
            for circle in circles(tree)
            for edge, imports in folder_edges(tree).items()
            if set(edge) <= set(circle)
            for line in [f"{edge[0]} -> {edge[1]}", *(f"    {path}" for path in imports)]
        ],
        "folders": [f"{folder} {count}" for folder, count in flat_folders(tree).most_common()],
    }


def main() -> None:
    """Print the figures of the checkout that is named, or of this one."""
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    if len(sys.argv) > 2:
        print("\n".join(details(root)[sys.argv[2]]))  # noqa: T201
        return
    for name, value in table(root):
        print(f"{name:40}{value:>8}")  # noqa: T201


if __name__ == "__main__":
    main()
