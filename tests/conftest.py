"""Fixtures for every test."""

from __future__ import annotations

pytest_plugins = [
    "tests.support.broker",
    "tests.support.databases",
    "tests.support.system",
    "tests.support.pacs",
    "tests.support.system",
]
