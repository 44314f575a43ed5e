"""The translations of the page, read from their catalogues when a language is first wanted.

A sentence of another package comes with its blanks filled. It is found again by its English with blanks,
which stand in the catalogue as placeholders: `takes %(rate)s requests` is `takes 30 requests`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

TRANSLATIONS = Path(__file__).parent / "translations"
#: Languages beside English.
TRANSLATED = ("de",)
#: The comment of texts that other packages write.
BORROWED = "borrowed"
#: Placeholders whose value is a text of ours as well.
INNER = frozenset(
    {
        "detail",
        "duration",
        "error",
        "kind",
        "left",
        "node",
        "note",
        "outcome",
        "problem",
        "range",
        "role",
        "status",
        "types",
        "wanted",
    }
)
#: Placeholders whose value is a number.
NUMBERS = frozenset({"high", "low", "number", "rate"})

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
#: Where texts are put together: sentences first, then the parts of one.
_PARTS = (re.compile(r"(?<=[.?!])( )"), re.compile(r"([;:] )"), re.compile(r"(, )"))


def path_of(language: str) -> Path:
    """Return the catalogue of a language."""
    return TRANSLATIONS / language / "LC_MESSAGES" / "messages.po"


@lru_cache(maxsize=len(TRANSLATED))
def _catalogue(language: str) -> Catalog:
    return read_po(BytesIO(path_of(language).read_bytes()), locale=language)


@lru_cache(maxsize=len(TRANSLATED))
def translations(language: str) -> NullTranslations:
    """Return the translations of a language; for English, and unknown ones, none."""
    if language not in TRANSLATED:
        return NullTranslations()
    buffer = BytesIO()
    write_mo(buffer, _catalogue(language))
    buffer.seek(0)
    return Translations(buffer)


class Sentences:
    """Sentences of other packages in one language, found by their English with filled blanks."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        self._whole = {text: found for text, found in messages.items() if not _PLACEHOLDER.search(text)}
        patterns = (text for text in messages if _PLACEHOLDER.search(text))
        # The one with the most words of its own first: others may match the same text by their blanks.
        ordered = sorted(patterns, key=lambda text: -len(_PLACEHOLDER.sub("", text)))
        self._patterns = [(_pattern(text), messages[text]) for text in ordered]

    def translate(self, text: str, value: Callable[[str], str]) -> str:
        """Return a text in the language, its parts in turn if it is not known as a whole; else as it is.

        `value` writes the values of blanks (dates, numbers) as the language does.
        """
        return self._in_parts(text, value, _PARTS)

    def _in_parts(self, text: str, value: Callable[[str], str], splits: Sequence[re.Pattern[str]]) -> str:
        head, colon, rest = text.partition(": ")
        if colon and head in self._whole:
            return f"{self._whole[head]}: {self._in_parts(rest, value, splits)}"
        found = self._one(text, value)
        if found is not None or not splits:
            return text if found is None else found
        parts = splits[0].split(text)
        return "".join(self._in_parts(part, value, splits[1:]) for part in parts)

    def _one(self, text: str, value: Callable[[str], str]) -> str | None:
        if text in self._whole:
            return self._whole[text]
        for pattern, translation in self._patterns:
            if found := pattern.fullmatch(text):
                return translation % {
                    name: self.translate(part, value) if name in INNER else value(part)
                    for name, part in found.groupdict().items()
                }
        return None


@lru_cache(maxsize=len(TRANSLATED))
def sentences(language: str) -> Sentences:
    """Return the sentences of other packages in a language."""
    borrowed = (message for message in _catalogue(language) if BORROWED in message.auto_comments)
    return Sentences(
        {_single(message.id): _single(message.string) for message in borrowed if _is_done(message)}
    )


def _is_done(message: Message) -> bool:
    return bool(message.id and _single(message.string) and not message.fuzzy)


def _single(text: str | list[str] | tuple[str, ...] | None) -> str:
    return text or "" if isinstance(text, str | None) else text[0]


def _pattern(text: str) -> re.Pattern[str]:
    """Return what matches a text with its blanks filled."""
    parts = _PLACEHOLDER.split(text)
    names = {}
    made = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            made.append(re.escape(part.replace("%%", "%")))
        elif part in names:
            made.append(f"(?P={part})")
        else:
            names[part] = True
            blank = r"[\d.,]*\d" if part in NUMBERS else ".+?"
            made.append(f"(?P<{part}>{blank})")
    return re.compile("".join(made), re.DOTALL)
