"""Write the template of the catalogue anew, and merge it into each language: `make messages`."""

from __future__ import annotations

from services.web.catalogue import TRANSLATED, path_of
from tests.support.messages.catalogue import TEMPLATE, as_template, extracted, merged


def main() -> None:
    """Write all files."""
    TEMPLATE.write_bytes(as_template(extracted()))
    for language in TRANSLATED:
        path_of(language).write_bytes(merged(language, extracted()))


if __name__ == "__main__":
    main()
