"""The source of a checkout as its architecture sees it: modules, their imports, names and sizes."""

from __future__ import annotations

import ast
import functools
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("services", "shared", "simulator")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of Python source."""

    name: str
    """Dotted, as it is imported; a package is its `__init__`."""
    path: str
    """Relative to the checkout, with slashes."""
    source: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def stem(self) -> str:
        return self.path.rpartition("/")[2].removesuffix(".py")

    @property
    def lines(self) -> int:
        return len(self.source.splitlines())

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.tree) or ""

    def nodes(self) -> tuple[ast.AST, ...]:
        return _nodes(self)

    def functions(self) -> Iterator[Function]:
        return (node for node in self.nodes() if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        return (node for node in self.nodes() if isinstance(node, ast.ClassDef))

    def identifiers(self) -> Iterator[str]:
        """Yield every name of the source, keywords and attributes among them, as often as it is there."""
        for token in tokenize.generate_tokens(io.StringIO(self.source).readline):
            if token.type == tokenize.NAME:
                yield token.string

    def imports(self) -> frozenset[str]:
        """Return the dotted names that are imported anywhere in the module, also within functions."""
        found: set[str] = set()
        for node in self.nodes():
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return frozenset(found)

    def __hash__(self) -> int:
        return hash(self.path)


@functools.cache
def _nodes(module: Module) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(module.tree))


@dataclass(frozen=True)
class SourceTree:
    """The modules below some folders of a checkout."""

    modules: tuple[Module, ...]

    @functools.cached_property
    def by_name(self) -> dict[str, Module]:
        return {module.name: module for module in self.modules}

    @functools.cached_property
    def dependencies(self) -> dict[Module, frozenset[Module]]:
        """Return for each module those of this tree that it imports."""
        return {module: frozenset(self._imported(module)) for module in self.modules}

    @functools.cached_property
    def importers(self) -> dict[Module, frozenset[Module]]:
        """Return for each module those that import it."""
        importers: dict[Module, set[Module]] = {module: set() for module in self.modules}
        for module, imported in self.dependencies.items():
            for dependency in imported:
                importers[dependency].add(module)
        return {module: frozenset(found) for module, found in importers.items()}

    def reachable(self, module: Module) -> frozenset[Module]:
        """Return every module of this tree that runs when `module` is imported, itself among them."""
        found = {module}
        waiting = [module]
        while waiting:
            for dependency in self.dependencies[waiting.pop()] - found:
                found.add(dependency)
                waiting.append(dependency)
        return frozenset(found)

    def _imported(self, module: Module) -> Iterator[Module]:
        for name in module.imports():
            dependency = self.by_name.get(name)
            if dependency and dependency is not module:
                yield dependency


def below(name: str, package: str) -> bool:
    """Return whether a dotted name is that of the package or of something in it."""
    return name == package or name.startswith(f"{package}.")


@functools.cache
def source_tree(root: Path = ROOT, packages: tuple[str, ...] = PACKAGES) -> SourceTree:
    """Read all modules of a checkout but the database migrations, which are history."""
    paths = sorted(
        path
        for package in packages
        for path in (root / package).rglob("*.py")
        if "migrations" not in path.parts and "__pycache__" not in path.parts
    )
    return SourceTree(tuple(_module(path, root) for path in paths))


def _module(path: Path, root: Path) -> Module:
    relative = path.relative_to(root)
    source = path.read_text(encoding="utf-8")
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name=name, path=relative.as_posix(), source=source, tree=ast.parse(source))
