"""The templates of the page, each compiled once for all apps of all processes of a run: it takes 25 ms."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache


class CompiledTemplates(BytecodeCache):
    """Keyed by source, so that a change is noticed."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what an earlier app, or another process of the run, has compiled."""
        file = self._file(bucket)
        if bucket.key not in self._compiled and file is not None and file.exists():
            self._compiled[bucket.key] = file.read_bytes()
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it for the next."""
        self._compiled[bucket.key] = bucket.bytecode_to_string()
        file = self._file(bucket)
        if file is not None:
            with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as written:
                written.write(self._compiled[bucket.key])
            Path(written.name).rename(file)

    def _file(self, bucket: Bucket) -> Path | None:
        return self._folder and self._folder / f"{bucket.key}-{bucket.checksum}.jinja"


def share_compiled_templates(folder: str | None) -> None:
    """Let all apps of this process use those in the folder of a run, or else those of this process."""
    Flask.jinja_options = {"bytecode_cache": CompiledTemplates(Path(folder) if folder else None)}
