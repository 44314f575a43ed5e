"""The languages of the page: texts are English in templates and code, and translated by gettext when shown.

Sentences of other packages (reasons, problems, estimates) are English there; `translated` translates them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import partial
from typing import cast

import flask_babel
from babel.dates import format_date
from babel.numbers import format_decimal, get_decimal_symbol
from babel.support import NullTranslations
from flask import Flask, g, request
from markupsafe import Markup

from services.web.catalogue import TRANSLATED, sentences, translations

ENGLISH = "en"
#: Where a request keeps its translations.
_KEPT = "doseqr_translations"


_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBER = re.compile(r"\d{1,3}(,\d{3})+|\d+\.\d+")
#: Languages by their own names, in the order of the switch.
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}
#: The cookie that theme.js sets; without it the browser's languages count.
COOKIE = "doseqr_language"


class _Domain(flask_babel.Domain):  # type: ignore[misc]
    """Translations that are read from our own catalogues."""

    def get_translations(self) -> NullTranslations:
        """Return the translations of the language of the page."""
        return _translations()


def _translations() -> NullTranslations:
    """Return the translations of the language of the page; a page has thousands of texts."""
    if not request:
        return translations(language())
    kept = g.get(_KEPT)
    if not isinstance(kept, NullTranslations):
        kept = translations(language())
        setattr(g, _KEPT, kept)
    return kept


def init_language(app: Flask) -> None:
    """Give templates `_()` and `ngettext()`, and each response its language."""
    babel = flask_babel.Babel(
        app, default_locale=ENGLISH, default_timezone="UTC", locale_selector=_chosen_language
    )
    babel.domain_instance = _Domain()
    # Without the way of Flask-Babel from each text to its language.
    install: Callable[..., None] = app.jinja_env.install_gettext_callables  # type: ignore[attr-defined]
    install(
        gettext=lambda text: _translations().ugettext(text),
        ngettext=lambda singular, plural, number: _translations().ungettext(singular, plural, number),
        newstyle=True,
        pgettext=lambda context, text: _translations().upgettext(context, text),
        npgettext=lambda context, singular, plural, number: _translations().unpgettext(
            context, singular, plural, number
        ),
    )
    app.jinja_env.filters.update(translated=translated, shown_day=shown_day, decimal=decimal_text)
    app.jinja_env.globals.update(in_bold=in_bold, in_code=in_code, language=language, LANGUAGES=LANGUAGES)
    app.jinja_env.globals.update(script_texts=script_texts)


def _chosen_language() -> str:
    """Return the language that was chosen, or the first of the browser's; programs always get English."""
    if not request or request.blueprint == "api":
        return ENGLISH
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    # In the order of the browser, and without regions: en-GB comes before a German that is wanted less.
    wanted = (tag.partition("-")[0].lower() for tag in request.accept_languages.values())
    return next((tag for tag in wanted if tag in LANGUAGES), ENGLISH)


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
    return translated_into(str(text), language())


def translated_into(text: str, wanted: str) -> str:
    """Return an English text of other parts of DoseQR in a language, or as it is."""
    if not text or wanted not in TRANSLATED:
        return text
    return sentences(wanted).translate(text, partial(value_text, wanted=wanted))


def value_text(value: str, wanted: str) -> str:
    """Return a date or number out of an English text as a language writes it."""
    if _DATE.fullmatch(value):
        return _day_text(value, wanted)
    if _NUMBER.fullmatch(value):
        places = len(value.partition(".")[2])
        return format_decimal(Decimal(value.replace(",", "")), format=f"#,##0.{'0' * places}", locale=wanted)
    return value


def date_text(day: date, pattern: str) -> str:
    """Return a day by a pattern (Unicode TR35), with names of days and months in the language of the page."""
    return format_date(day, pattern, locale=language())


def number_text(number: int) -> str:
    """Return a number with its thousands set apart as the language of the page does."""
    return format_decimal(number, locale=language())


def decimal_text(text: str) -> str:
    """Return a number that is written with a decimal point as the language of the page does."""
    return text.replace(".", get_decimal_symbol(language()))


def shown_day(day: date | str) -> str:
    """Return a date (or its ISO 8601 text) as the language of the page writes it; other text unchanged."""
    return _day_text(str(day), language())


def _day_text(text: str, wanted: str) -> str:
    if wanted == ENGLISH:
        return text
    try:
        return format_date(date.fromisoformat(text), "medium", locale=wanted)
    except ValueError:
        return text


def shown_days(first: date | str, last: date | str) -> str:
    """Return a range of dates; a single day as such."""
    if str(first) == str(last):
        return shown_day(first)
    return gettext("%(first)s to %(last)s", first=shown_day(first), last=shown_day(last))


def script_texts() -> dict[str, str]:
    """Return the texts that scripts write, as attributes of the page; `{}` stands for a value."""
    blank = "{}"
    return {
        "data-just-now": gettext("just now"),
        "data-ago": gettext("%(duration)s ago", duration=blank),
        "data-in": gettext("in %(duration)s", duration=blank),
        "data-min": gettext("%(number)s min", number=blank),
        "data-h": gettext("%(number)s h", number=blank),
        "data-day": ngettext("%(number)s day", "%(number)s days", 1, number=blank),
        "data-days": ngettext("%(number)s day", "%(number)s days", 2, number=blank),
        "data-copied": gettext("Copied."),
        "data-not-copied": gettext("The browser does not let it be copied."),
        "data-session-ended": gettext("Your session has ended. Reload the page to log in again."),
        "data-offline": gettext(
            "The page cannot reach DoseQR; what it shows may be old. It tries again by itself."
        ),
    }


def in_bold(text: object) -> Markup:
    """Return a text to be put into a sentence in bold."""
    return Markup("<strong>{}</strong>").format(text)


def in_code(text: object) -> Markup:
    """Return a command or a name to be put into a sentence as such."""
    return Markup("<code>{}</code>").format(text)
