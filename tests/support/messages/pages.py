"""Texts of the page itself: `_()` and `ngettext()` of templates and code, and nouns of `many`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.messages.extract import extract
from jinja2 import Environment, nodes

from tests.support.messages.borrowed import ROOT

WEB = ROOT / "services" / "web"
TEMPLATES = WEB / "templates"
KEYWORDS = {"gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}


@dataclass(frozen=True, slots=True)
class InContext:
    """A text that means something else in other places, such as the noun of a button's verb."""

    context: str
    text: str


#: A text, or the two of a number.
Text = str | tuple[str, str] | InContext


def page_texts() -> Iterator[Text]:
    """Yield all texts of templates and code."""
    for template in sorted(TEMPLATES.rglob("*.html")):
        yield from _of_template(template.read_text(encoding="utf-8"))
    for module in sorted(WEB.rglob("*.py")):
        yield from _of_code(module)


def environment() -> Environment:
    """Return the environment that reads templates as Flask does."""
    return Environment(extensions=["jinja2.ext.i18n"], autoescape=True)


def _of_template(source: str) -> Iterator[Text]:
    reader = environment()
    for _, function, text in reader.extract_translations(source):  # type: ignore[attr-defined]
        parts = [text] if isinstance(text, str) else list(text)
        if function == "pgettext":
            yield InContext(parts[0], parts[1])
        else:
            yield (parts[0], parts[1]) if function == "ngettext" else parts[0]
    for found in reader.parse(source).find_all(nodes.Filter):
        if found.name == "many":
            yield _nouns(*(part.as_const() for part in found.args))


def _of_code(module: Path) -> Iterator[Text]:
    with module.open("rb") as file:
        for _, text, _, _ in extract("python", file, KEYWORDS):
            if isinstance(text, str):
                yield text
            elif all(text[:2]):
                yield text[0], text[1]
    for call in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "many":
            parts = [part.value for part in call.args[1:] if isinstance(part, ast.Constant)]
            yield _nouns(*(str(part) for part in parts))


def _nouns(singular: str, plural: str = "") -> Text:
    """Return the texts that `services.web.views.formatting.many` looks up."""
    return f"%(number)s {singular}", f"%(number)s {plural or singular + 's'}"
