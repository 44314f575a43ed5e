"""Texts that the page borrows from other packages: sentences of tables, and of errors and notes in the code.

A blank of an f-string becomes a placeholder: `f"takes {rate} requests"` is `takes %(rate)s requests`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import get_args

from shared.contract.messages import JobStatus
from shared.contract.reasons import TEXTS, TEXTS_WITHOUT_BLANKS
from shared.dicom.errors import Outcome
from shared.querying.profile import Profile
from shared.querying.profile_text import profile_entries
from shared.reading.retrieve_json import ARRIVAL_TEXTS
from shared.users.accounts import ROLES
from tests.support.messages.notices import NOTICES

ROOT = Path(__file__).parents[3]

#: Where a problem, an outcome's detail or a note is worded that a page shows.
FOLDERS = (
    "shared/comparisons.py",
    "shared/contract",
    "shared/control",
    "shared/dicom/association",
    "shared/dicomweb",
    "shared/evidence",
    "shared/identifiers.py",
    "shared/jobs",
    "shared/node_access",
    "shared/nodes",
    "shared/notifications",
    "shared/reading/evidence",
    "shared/schedules",
    "shared/users",
    "services/query",
    "services/retrieve",
    "services/web",
)
#: Calls whose texts are shown, and names of variables and arguments that hold such texts.
CALLS = frozenset(
    {"InvalidInputError", "ValueError", "PydanticCustomError", "PeerError", "wrong", "_at", "_split"}
)
NAMES = frozenset({"detail", "note", "problem", "why"})
#: Names of functions that return such a text.
WORDING = re.compile(r"note|detail|problem|shortage")

#: Texts that code puts together, as they come out.
COMPOSED = (
    # shared/reading/rate_text.py
    *(
        f"%(rate)s {thing} a {unit}{rest}"
        for thing in ("study", "studies", "object", "objects")
        for unit in ("second", "minute")
        for rest in ("", ", about %(left)s left")
    ),
    "waiting for the rest",
    "%(number)s s",
    "%(number)s min",
    "%(hours)s h %(minutes)s min",
    # shared/querying/estimate_text.py and shared/querying/estimate.py
    "The range of dates is longer than any archive reaches.",
    "It begins with %(number)s slice.",
    "It begins with %(number)s slices.",
    "How many studies that brings is unknown: no earlier query of this node is complete.",
    "How many studies the whole archive holds is unknown.",
    "How many studies that brings is unknown: no query of this node requested %(types)s before.",
    "Of %(types)s nothing is known yet; it comes on top.",
    "The node takes requests only at %(hours)s.",
    "About %(range)s.",
    "About %(range)s (judged by %(number)s earlier query).",
    "About %(range)s (judged by %(number)s earlier queries).",
    *(f"%(number)s {noun}" for noun in ("study", "studies", "request", "requests")),
    *(f"%(low)s to %(high)s {noun}" for noun in ("studies", "requests", "minutes", "hours")),
    "%(number)s minutes",
    "less than a minute",
    "A wide range stresses the remote server and takes long; narrow it if you can.",
    "Without a first day the whole archive is searched.",
    # shared/querying/profile_text.py
    "yes",
    "no",
    "none",
    "not measured",
    "none found",
    "up to %(number)s",
    "%(number)s ms",
    "%(number)s matches a second",
    "%(number)s matches",
    "%(number)s days",
    # shared/contract/reasons.py, where the node has no name
    "The node",
    "the node",
    # shared/dicom/errors.py
    "answered with status %(code)s",
    # shared/schedules/recurrence.py
    "every %(number)s minutes",
    "daily %(time)s",
    "weekdays %(time)s",
)

#: Words of states and kinds, as tables and badges show them.
WORDS = (
    "remote",
    "store",
    "Query",
    "Retrieve",
    "query",
    "retrieve",
    "Asking again",
    "Study",
    "Series",
    "Object",
    "study",
    "series",
    "object",
    "pending",
    "done",
    "cut",
    "keep",
    "drop",
    "arrived",
    "missing",
    "asked",
    "expected",
    "skipped",
    "accession number",
    "study instance uid",
    "date",
    "month",
    "node",
    "file",
    "list",
    "from",
    "until",
    "type",
)


def borrowed_texts() -> set[str]:
    """Return all texts of other packages that a page may show."""
    tables = {text for _, text in TEXTS.values()} | set(TEXTS_WITHOUT_BLANKS.values())
    texts = {_capital(re.sub(r"\{(\w+)\}", r"%(\1)s", text)) for text in tables}
    texts |= {text for entry in profile_entries(Profile()) for text in (entry.label, entry.meaning)}
    texts |= set(ARRIVAL_TEXTS.values()) | {outcome.value for outcome in Outcome}
    texts |= {*COMPOSED, *WORDS, *NOTICES, *get_args(JobStatus), *ROLES}
    for place in FOLDERS:
        path = ROOT / place
        for module in sorted(path.rglob("*.py")) if path.is_dir() else (path,):
            texts |= set(_texts_of(ast.parse(module.read_text(encoding="utf-8"))))
    return texts


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _texts_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for value in _shown_values(node):
            for text in _variants(value):
                if re.search(r"[a-z] ", re.sub(r"%\(\w+\)s", "", text)):
                    yield text


def _shown_values(node: ast.AST) -> Iterable[ast.expr]:
    if isinstance(node, ast.Call):
        if ast.unparse(node.func).rpartition(".")[2] in CALLS:
            yield from node.args
        yield from (keyword.value for keyword in node.keywords if keyword.arg in NAMES)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _assigned(target, node.value)
    elif isinstance(node, ast.FunctionDef) and WORDING.search(node.name):
        returns = (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return))
        yield from (value for value in returns if value is not None)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[ast.expr]:
    """Yield what is assigned to one of `NAMES`, also side by side: `state, detail = "cut", "…"`."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for part, assigned in zip(target.elts, value.elts, strict=True):
            yield from _assigned(part, assigned)
    elif ast.unparse(target).rpartition(".")[2] in NAMES:
        yield value


def _variants(value: ast.expr) -> list[str]:
    """Return the texts that an expression can be, with placeholders for its blanks."""
    if isinstance(value, ast.Constant):
        return [value.value.replace("%", "%%")] if isinstance(value.value, str) else []
    if isinstance(value, ast.IfExp):
        return _variants(value.body) + _variants(value.orelse)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return ["".join(parts) for parts in product(_variants(value.left), _variants(value.right))]
    if not isinstance(value, ast.JoinedStr):
        return []
    names: list[str] = []
    parts = [_part(part, names) for part in value.values]
    return ["".join(chosen) for chosen in product(*parts)]


def _part(part: ast.expr, names: list[str]) -> list[str]:
    if isinstance(part, ast.Constant):
        return [str(part.value).replace("%", "%%")]
    assert isinstance(part, ast.FormattedValue)
    if isinstance(part.value, ast.IfExp) and (texts := _variants(part.value)):
        return texts
    name = _name_of(part.value, names)
    names.append(name)
    return [f"%({name})s"]


def _name_of(value: ast.expr, taken: list[str]) -> str:
    found = re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", ast.unparse(value)))
    name = (found[-1] if found else "value").strip("_").lower()
    number = taken.count(name) + sum(other.startswith(f"{name}_") for other in taken)
    return f"{name}_{number + 1}" if number else name
