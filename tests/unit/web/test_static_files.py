"""Static files: kept for a year under an address of their content, and compressed."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import services.web

STATIC = Path(services.web.__file__).parent / "static"


def test_addresses_of_files_hold_their_content_and_last_a_year(site):
    # Given
    page = site.person().text("/login")
    addresses = re.findall(r'(?:href|src)="(/(?:static|bootstrap)[^"]+)"', page)
    # When
    responses = [site.app.test_client().get(address, buffered=True) for address in addresses]
    sizes = [len(response.data) for response in responses]
    # Then
    assert len(addresses) >= 5
    assert min(sizes) > 0
    assert all(re.search(r"\?v=[0-9a-f]{12}$", address) for address in addresses)
    assert {response.headers["Cache-Control"] for response in responses} == {
        "public, max-age=31536000, immutable"
    }


def test_another_version_of_an_address_is_not_kept(site):
    # When
    responses = [
        site.app.test_client().get(f"/static/page.js{query}", buffered=True) for query in ("", "?v=old")
    ]
    # Then
    assert all("immutable" not in response.headers["Cache-Control"] for response in responses)
    assert all(response.data == (STATIC / "page.js").read_bytes() for response in responses)


def test_text_is_compressed_for_those_who_take_it(site):
    # Given
    client, headers = site.app.test_client(), {"Accept-Encoding": "gzip, br"}
    # When
    packed, plain = (
        client.get("/static/doseqr.css", headers=given, buffered=True) for given in (headers, {})
    )
    # Then
    assert packed.headers["Content-Encoding"] == "gzip"
    assert all("Accept-Encoding" in response.headers["Vary"] for response in (packed, plain))
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    assert client.get("/static/nothing.css", headers=headers).status_code == 404
