"""What an echo says of a DICOMweb node, on the pages in both languages and on the command line."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from services.cli.commands.echo import status_line
from services.web.live.node_status import node_panel
from shared.contract.messages import NodeStatus
from shared.database.models import Node, NodeCheck
from shared.dicom.errors import Outcome
from shared.dicomweb.http.errors import error_of_status
from tests.support.jobs.rows import NOW
from tests.support.services.web import Site

URL = "http://pacs:8042/dicom-web"
STUDIES = f"{URL}/studies"
CERTIFICATE = (
    "the certificate of pacs:8042 is not accepted (self-signed certificate); check the node's TLS certificate"
    " or authorities, and the name in its address"
)
WANTED = "the server wants a certificate of ours, or does not accept the one it got (TLSV13_ALERT)"


class Shown(NamedTuple):
    """How an echo ended, and what is shown of it in German; the English detail is shown as it is."""

    outcome: Outcome
    detail: str
    english: str
    german: str
    german_detail: str


def status(http_status: int, english: str, german: str, german_detail: str) -> Shown:
    error = error_of_status(http_status, STUDIES)
    return Shown(error.outcome, error.detail, english, german, german_detail)


ROWS = {
    "responds": Shown(Outcome.RESPONDS, "", "Answers", "Antwortet", ""),
    "refused": Shown(
        Outcome.CONNECTION_REFUSED,
        "pacs:8042 does not take connections (Connection refused)",
        "Connection refused",
        "Verbindung abgelehnt",
        "pacs:8042 nimmt keine Verbindungen an (Connection refused)",
    ),
    "certificate": Shown(
        Outcome.CERTIFICATE,
        CERTIFICATE,
        "Certificate not accepted",
        "Zertifikat nicht anerkannt",
        "das Zertifikat von pacs:8042 wird nicht anerkannt (self-signed certificate)",
    ),
    "our certificate": Shown(
        Outcome.CERTIFICATE,
        WANTED,
        "Certificate not accepted",
        "Zertifikat nicht anerkannt",
        "der Server verlangt ein Zertifikat von uns oder akzeptiert unseres nicht (TLSV13_ALERT)",
    ),
    "401": status(
        401, "Authentication failed", "Anmeldung fehlgeschlagen", "prüfen Sie Anmeldung und Geheimnis"
    ),
    "403": status(403, "Access denied", "Zugriff verweigert", "dort bekannt"),
    "404": Shown(
        Outcome.NOT_FOUND,
        f"HTTP 404 for {STUDIES}; is its path right?",
        "Not found",
        "Nicht gefunden",
        f"HTTP 404 für {STUDIES}; stimmt der Pfad?",
    ),
    "redirection": status(302, "No web service there", "Dort ist kein DICOMweb-Dienst", "Weiterleitungen"),
    "no DICOMweb": Shown(
        Outcome.NO_DICOMWEB,
        f"{URL} responds, and not with DICOM JSON",
        "No web service there",
        "Dort ist kein DICOMweb-Dienst",
        f"{URL} antwortet, aber nicht mit DICOM JSON",
    ),
    "500": status(500, "Answered with status", "Antwortet mit Status", "HTTP 500 Internal Server Error"),
    "503": status(503, "Answered with status", "Antwortet mit Status", "der Server ist überlastet"),
}


def shown_on_page(site: Site, language: str) -> tuple[str, str]:
    headers = {"Accept-Language": language}
    with site.app.test_request_context(headers=headers), site.components.database.read() as session:
        row = next(row for row in node_panel(session, None).rows if row.node.id == 1)
        return row.text, row.detail


def test_each_outcome_of_an_echo_has_its_words_on_the_pages(site: Site) -> None:
    # Given
    with site.components.database.write() as session:
        session.get_one(Node, 1).protocol = "dicomweb"
    wrong = {}
    for name, expected in ROWS.items():
        ok, values = expected.outcome is Outcome.RESPONDS, {"detail": expected.detail, "checked_at": NOW}
        with site.components.database.write() as session:
            session.merge(NodeCheck(node_id=1, ok=ok, outcome=expected.outcome.value, **values))
        # When
        english, german = shown_on_page(site, "en"), shown_on_page(site, "de")
        # Then
        if english != (expected.english, expected.detail):
            wrong[name, "en"] = english
        if german[0] != expected.german or expected.german_detail not in german[1]:
            wrong[name, "de"] = german
    assert wrong == {}


def test_pages_of_a_node_show_the_detail_in_their_language(site: Site) -> None:
    # Given
    detail = ROWS["404"].detail
    outcome, now = Outcome.NOT_FOUND.value, site.components.clock()
    site.add(NodeCheck(node_id=1, ok=False, outcome=outcome, detail=detail, checked_at=now))
    person = site.person("admin")
    # When
    pages = [
        person.get(address, headers={"Accept-Language": "de"}).text
        for address in ("/nodes/1/setup", "/start")
    ]
    # Then
    assert ["stimmt der Pfad?" in page for page in pages] == [True, True]


@pytest.mark.parametrize("name", ROWS)
def test_each_outcome_of_an_echo_has_its_line(name: str) -> None:
    # Given
    outcome, detail = ROWS[name].outcome, ROWS[name].detail
    ok = outcome is Outcome.RESPONDS
    response = NodeStatus(
        echo_id="e1",
        node_id=1,
        node="pacs",
        kind="remote",
        ok=ok,
        rtt_ms=12.34 if ok else None,
        outcome=outcome.value,
        detail=detail,
    )
    # When
    line = status_line(response)
    # Then
    if ok:
        assert line == "ok    remote  pacs: answers in 12.3 ms"
    else:
        assert line == f"FAIL  remote  pacs: {outcome.value} ({detail})"
