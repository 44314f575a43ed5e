"""Names that come from outside and are validated before they are used: UIDs, AE titles, ports.

No DICOM library is needed here, so that the message contract and the web page validate with the same code.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from shared.errors import InvalidInputError

#: Characters of a UID (PS3.5 9.1).
UID_MAX_LENGTH = 64
#: Characters of an AE title (PS3.5 6.2, VR AE).
AE_TITLE_MAX_LENGTH = 16
#: A TCP port that can be connected to.
PORT_MIN, PORT_MAX = 1, 65535

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]+")
_PORT = re.compile(r"[0-9]{1,5}")


class _ValidatedText(str):
    """A string that exists only in its valid form."""

    __slots__ = ()

    #: JSON Schema of the type.
    json_schema: ClassVar[JsonSchemaValue] = {}

    @classmethod
    def problem_of(cls, text: str) -> str | None:
        """Return what is wrong with the cleaned text, or None."""
        raise NotImplementedError

    @classmethod
    def clean(cls, text: str) -> str:
        """Return the text without the padding that carries no meaning."""
        raise NotImplementedError

    def __new__(cls, text: str) -> Self:
        if type(text) is cls:
            return text
        return cls.parse(cls.__name__, text)

    @classmethod
    def parse(cls, field: str, value: object) -> Self:
        """Return the value as this type.

        Raises:
            InvalidInputError: It is not valid; names `field`, never repeats the value.
        """
        if type(value) is cls:
            return value
        if not isinstance(value, str):
            raise InvalidInputError(field, "must be text")
        text = cls.clean(value)
        problem = cls.problem_of(text)
        if problem:
            raise InvalidInputError(field, problem)
        return super().__new__(cls, text)

    @classmethod
    def _from_pydantic(cls, value: str) -> Self:
        try:
            return cls.parse("", value)
        except InvalidInputError as error:
            raise PydanticCustomError("identifier", "{problem}", {"problem": error.problem}) from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls._from_pydantic, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(cls.json_schema)


class Uid(_ValidatedText):
    """A DICOM unique identifier: numeric components joined by single dots, at most 64 characters.

    Components with leading zeros are against PS3.5 9.1 and accepted: real archives send them. What is
    accepted cannot be a path: no separator, no empty component, nothing but digits and dots.
    """

    __slots__ = ()

    json_schema: ClassVar[JsonSchemaValue] = {
        "type": "string",
        "maxLength": UID_MAX_LENGTH,
        "pattern": r"^[0-9]+(\.[0-9]+)*$",
    }

    @classmethod
    def clean(cls, text: str) -> str:
        """Return the text without padding: the null of PS3.5 6.2, and the blanks that some send instead."""
        return text.strip(" \0")

    @classmethod
    def problem_of(cls, text: str) -> str | None:
        """Return what is wrong with the text, or None."""
        if not text:
            return "must not be empty"
        if len(text) > UID_MAX_LENGTH:
            return f"must have at most {UID_MAX_LENGTH} characters"
        if not _UID.fullmatch(text):
            return "must be a UID: numbers joined by single dots"
        return None


class AeTitle(_ValidatedText):
    """An application entity title: 1 to 16 characters of the default repertoire, no backslash.

    Outer spaces carry no meaning (PS3.5 6.2) and are cut, so that two titles are compared without them.
    """

    __slots__ = ()

    json_schema: ClassVar[JsonSchemaValue] = {
        "type": "string",
        "minLength": 1,
        "maxLength": AE_TITLE_MAX_LENGTH,
        "pattern": r"^[\x20-\x5b\x5d-\x7e]+$",
    }

    @classmethod
    def clean(cls, text: str) -> str:
        """Return the text without outer spaces."""
        return text.strip(" ")

    @classmethod
    def problem_of(cls, text: str) -> str | None:
        """Return what is wrong with the text, or None."""
        if not text:
            return "must not be empty"
        if len(text) > AE_TITLE_MAX_LENGTH:
            return f"must have at most {AE_TITLE_MAX_LENGTH} characters"
        if not _AE_TITLE.fullmatch(text):
            return "must hold only printable ASCII characters and no backslash"
        return None


def parse_uid(field: str, value: object) -> Uid:
    """Return the value as a UID.

    Raises:
        InvalidInputError: It is not one; names `field`.
    """
    return Uid.parse(field, value)


def parse_ae_title(field: str, value: object) -> AeTitle:
    """Return the value as an AE title.

    Raises:
        InvalidInputError: It is not one; names `field`.
    """
    return AeTitle.parse(field, value)


def parse_port(field: str, value: object) -> int:
    """Return the value, a number or its decimal digits, as a TCP port.

    Raises:
        InvalidInputError: It is not a whole number from 1 to 65535; names `field`.
    """
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and _PORT.fullmatch(value.strip()):
        number = int(value.strip())
    if number is None or not PORT_MIN <= number <= PORT_MAX:
        raise InvalidInputError(field, f"must be a whole number from {PORT_MIN} to {PORT_MAX}")
    return number


def _port_from_pydantic(value: object) -> int:
    try:
        return parse_port("", value)
    except InvalidInputError as error:
        raise PydanticCustomError("port", "{problem}", {"problem": error.problem}) from None


#: A TCP port as the type of a pydantic field.
Port = Annotated[int, Field(ge=PORT_MIN, le=PORT_MAX), BeforeValidator(_port_from_pydantic)]
