"""The languages of the page: its texts are written in English in the templates and translated by gettext."""

from __future__ import annotations

from flask import Flask
from flask_babel import Babel

ENGLISH = "en"


def init_language(app: Flask) -> None:
    """Give templates `_()` and `ngettext()`, and each response its language."""
    Babel(app, default_locale=ENGLISH, default_timezone="UTC")
