"""Remove from the environment of the image what no service uses.

Each entry is a glob below site-packages. One that matches nothing fails the build: a newer version of that
package keeps it elsewhere, and the image would grow without a word.
"""

from __future__ import annotations

import shutil
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


def main() -> None:
    """Remove everything that is listed, and the locales of other languages."""
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


if __name__ == "__main__":
    main()
