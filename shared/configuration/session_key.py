"""The key that signs sessions, kept in the data folder so that a restart logs nobody out."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from shared.errors import PermanentError
from shared.private_files import make_private_folder

FILE_NAME = "web-secret"
#: Bytes of the key, written as hexadecimal digits.
KEY_BYTES = 32


def session_key(data_dir: Path) -> str:
    """Return the key of this installation; makes it, readable by its owner alone, the first time.

    Raises:
        PermanentError: the file holds no key, or cannot be read or made.
    """
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise PermanentError(f"{path}: {type(error).__name__}") from error
    if len(key) < 2 * KEY_BYTES:
        raise PermanentError(f"{path} holds no key; remove it, and everybody has to log in again")
    return key


def _make(path: Path) -> None:
    """Write the file whole or not at all; if another process is first, its key counts."""
    make_private_folder(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mkstemp: mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()
