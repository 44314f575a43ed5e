"""Keyset pages: `?after=…&limit=…`, and a link to the next page."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from flask import request
from pydantic import BaseModel, ConfigDict, Field

from services.web.api.operations import OperationResult
from services.web.api.problems import ProblemError

T = TypeVar("T")

LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
MAX_CURSOR_LENGTH = 512


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    model_config = ConfigDict(extra="forbid")

    items: list[T]
    next: str | None = Field(description="Address of the next page; none: this is the last.")


class PageQuery(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: str | None = Field(
        None, max_length=MAX_CURSOR_LENGTH, description="Where the page before ended: take it from `next`."
    )
    limit: int = Field(LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="Items of a page, at most.")

    def key(self, *types: type[Any]) -> tuple[Any, ...] | None:
        """Return the key after which the page begins, a value of each of these types; None: at the first.

        Raises:
            ProblemError: 422, it is none that a page gave.
        """
        if self.after is None:
            return None
        try:
            values = json.loads(base64.urlsafe_b64decode(self.after.encode("ascii")))
        except (ValueError, RecursionError):
            values = None
        fits = isinstance(values, list) and len(values) == len(types)
        if not fits or not all(type(value) is kind for value, kind in zip(values, types, strict=True)):
            raise wrong_cursor()
        return tuple(values)


def wrong_cursor() -> ProblemError:
    """Return the error of an `after` that no page gave."""
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "after: is not the end of a page; take it from `next`", field="after"
    )


def page(items: Sequence[object], limit: int, last_key: Sequence[object]) -> OperationResult:
    """Return a page of up to `limit` items; `last_key` is the key of the last one of them.

    A full page may be the last: the next one is empty then.
    """
    following = page_after(last_key) if len(items) == limit else None
    headers = (("Link", f'<{following}>; rel="next"'),) if following else ()
    return OperationResult({"items": list(items), "next": following}, headers=headers)


def page_after(last_key: Sequence[object]) -> str:
    """Return the address of the page of the present list that begins after this key."""
    cursor = base64.urlsafe_b64encode(json.dumps(list(last_key)).encode()).decode("ascii")
    others = [(name, value) for name, value in request.args.items(multi=True) if name != "after"]
    return f"{request.path}?{urlencode([*others, ('after', cursor)])}"
