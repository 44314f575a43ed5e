"""The languages of the page: texts are English in templates and code, and translated by gettext when shown.

Sentences of other packages (reasons, problems, estimates) are English there; `translated` translates them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import cast

import flask_babel
from babel.dates import format_date
from babel.numbers import format_decimal
from flask import Flask
from markupsafe import Markup

ENGLISH = "en"


def init_language(app: Flask) -> None:
    """Give templates `_()` and `ngettext()`, and each response its language."""
    flask_babel.Babel(app, default_locale=ENGLISH, default_timezone="UTC")
    app.jinja_env.filters["translated"] = translated
    app.jinja_env.globals.update(in_bold=in_bold, in_code=in_code)


def gettext(text: str, /, **values: object) -> str:
    """Return a text in the language of the page, with the values of its `%(names)s`."""
    return str(flask_babel.gettext(text, **values))


def ngettext(singular: str, plural: str, number: int, /, **values: object) -> str:
    """Return the text for a number of things."""
    return str(flask_babel.ngettext(singular, plural, number, **values))


def lazy_gettext(text: str, /, **values: object) -> str:
    """Return a text that is translated when it is shown, for constants; `join` wants it as `str(…)`."""
    return cast("str", flask_babel.lazy_gettext(text, **values))


def choices(names: Mapping[str, str]) -> Callable[[], dict[str, str]]:
    """Return what makes the choices of a field, in the language of the page; the names are lazy texts."""
    return lambda: {value: str(name) for value, name in names.items()}


def language() -> str:
    """Return the language in which a response is written; English outside of one."""
    locale = flask_babel.get_locale()
    return ENGLISH if locale is None else str(locale.language)


def translated(text: object) -> str:
    """Return an English text of other parts of DoseQR in the language of the page, or as it is."""
    given = str(text)
    return given if not given or language() == ENGLISH else gettext(given)


def date_text(day: date, pattern: str) -> str:
    """Return a day by a pattern (Unicode TR35), with names of days and months in the language of the page."""
    return format_date(day, pattern, locale=language())


def number_text(number: int) -> str:
    """Return a number with its thousands set apart as the language of the page does."""
    return format_decimal(number, locale=language())


def shown_day(day: date | str) -> str:
    """Return a date (or its ISO 8601 text) as the language of the page writes it; other text unchanged."""
    text = str(day)
    if language() == ENGLISH:
        return text
    try:
        return format_date(date.fromisoformat(text), "medium", locale=language())
    except ValueError:
        return text


def shown_days(first: date | str, last: date | str) -> str:
    """Return a range of dates; a single day as such."""
    if str(first) == str(last):
        return shown_day(first)
    return gettext("%(first)s to %(last)s", first=shown_day(first), last=shown_day(last))


def in_bold(text: object) -> Markup:
    """Return a text to be put into a sentence in bold."""
    return Markup("<strong>{}</strong>").format(text)


def in_code(text: object) -> Markup:
    """Return a command or a name to be put into a sentence as such."""
    return Markup("<code>{}</code>").format(text)
