"""What a server said is shown without any part of the address but its host."""

from __future__ import annotations

import pytest

from shared.notifications.transport.sender_main import redacted


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        (
            "535 bad login of robot@example.org",
            "mailtos://robot:s3cr3t@mail.example.org?from=robot@example.org",
            "535 bad login of …",
        ),
        (
            "url: /hooks/abcd?token=12%2034567 at web.example.org",
            "jsons://web.example.org/hooks/abcd?token=12%2034567",
            "url: /…/…?…=… at web.example.org",
        ),
        ("no such team TAAAA1111", "slack://TAAAA1111/BBBB2222/CCCC3333", "no such team …"),
        ("one\r\ntwo\x00three", "json://host.example.org", "one two three"),
    ],
)
def test_an_error_is_one_line_without_secrets(text, url, shown):
    assert redacted(text, url) == shown


def test_a_long_text_is_cut():
    assert len(redacted("x" * 5000, "json://h")) == 300
