"""Remove from the environment of the image what no service uses.

Each entry is a glob below site-packages. One that matches nothing fails the build: a newer version of that
package keeps it elsewhere, and the image would grow without a word. Compiled libraries lose their symbols,
which only a debugger reads.
"""

from __future__ import annotations

import shutil
import struct
import sysconfig
from pathlib import Path

#: Languages of the page; babel needs the root of all of them.
LOCALES = ("root", "en", "de")

UNUSED = (
    "alembic/testing",
    "apprise/i18n/*/",
    "apprise/assets/themes/*/*.ico",
    "certifi/tests",
    "flask_bootstrap/static/bootstrap4",
    "flask_bootstrap/static/bootstrap5/css/bootswatch",
    "flask_bootstrap/static/bootstrap5/css/font/fonts/*.woff",
    "flask_bootstrap/static/bootstrap5/icons/*.svg",
    "pydantic/v1",
    "pydicom/data/test_files/*",
    "pydicom/sr/_*_dict.py",
    "pygments/lexers/_*_builtins.py",
    "pynetdicom/apps",
    "pynetdicom/tests",
    "sqlalchemy/testing",
    "yaml/_yaml*.so",
    "**/*.map",
    "**/*.pyi",
)


#: What a 64-bit little-endian ELF file begins with.
ELF = b"\x7fELF\x02\x01"


def main() -> None:
    """Remove everything that is listed, the locales of other languages, and symbols of libraries."""
    packages = Path(sysconfig.get_path("purelib"))
    for pattern in UNUSED:
        found = list(packages.glob(pattern))
        if not found:
            raise SystemExit(f"nothing matches {pattern}: adapt deploy/trim.py")
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in packages.glob("babel/locale-data/*.dat"):
        if path.stem.partition("_")[0] not in LOCALES:
            path.unlink()
    for path in packages.rglob("*.so*"):
        content = path.read_bytes()
        if content.startswith(ELF):
            path.write_bytes(without_symbols(content))


def without_symbols(library: bytes) -> bytes:
    """Return a library up to the end of its last segment: the loader reads segments (gABI, program header).

    Behind them lie symbols for a debugger and the table of sections, which is taken out of the header.
    """
    (table,) = struct.unpack_from("<Q", library, 32)
    size, number = struct.unpack_from("<HH", library, 54)
    end = table + size * number
    for at in range(table, end, size):
        (offset,) = struct.unpack_from("<Q", library, at + 8)
        (length,) = struct.unpack_from("<Q", library, at + 32)
        end = max(end, offset + length)
    kept = bytearray(library[:end])
    struct.pack_into("<Q", kept, 40, 0)
    struct.pack_into("<HHH", kept, 58, 0, 0, 0)
    return bytes(kept)


if __name__ == "__main__":
    main()
