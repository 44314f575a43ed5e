"""Fixtures for every test."""

from __future__ import annotations

pytest_plugins = [
    "tests.support.broker",
    "tests.support.databases",
    "tests.support.orthanc",
    "tests.support.pacs",
    "tests.support.system",
]
