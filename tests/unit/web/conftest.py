"""The page's fixtures."""

from __future__ import annotations

from tests.support.services.web import peopled_file, site

__all__ = ["peopled_file", "site"]
