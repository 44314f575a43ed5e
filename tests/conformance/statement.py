"""Writes docs/conformance.md: its tables come from the code that proposes and accepts contexts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID

from services.store.scp.negotiation import MAX_PDU_BYTES
from shared.dicom.association.c_move import move_identifier
from shared.dicom.implementation import IMPLEMENTATION_CLASS_UID
from shared.dicom.query.identifiers import (
    OPTIONAL_KEYS,
    image_identifier,
    series_identifier,
    study_identifier,
)
from shared.dicom.sop_classes import (
    EVERY_CLASS,
    REPORT_CLASSES,
    STORAGE_COMMITMENT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    offers,
)
from shared.dicom.upper_layer.associate_requestor import TRANSFER_SYNTAXES
from shared.dicomweb.http.errors import error_of_status
from shared.dicomweb.http.session import PAGE_LIMITS
from shared.dicomweb.qido import pages
from shared.dicomweb.qido.request import qido_target
from shared.dicomweb.wado.metadata import ACCEPT_BULK, ACCEPT_JSON
from shared.dicomweb.wado.session import ACCEPT, PLAIN_ACCEPT, wado_targets
from shared.settings import Settings

#: HTTP statuses that the standard names for these services (PS3.18 8.5), and others that come.
WEB_STATUSES = (
    HTTPStatus.FOUND,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

_PATH = {"studies": "study", "series": "series", "instances": "instance"}

_BEHAVIOUR = {
    HTTPStatus.BAD_REQUEST: "a search leaves out its optional keys one by one",
    HTTPStatus.UNAUTHORIZED: "the token is renewed once",
    HTTPStatus.NOT_ACCEPTABLE: "an object is requested without a transfer syntax",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the window is split",
}

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"

#: What is proposed as SCU, and when; each in these transfer syntaxes, in one context.
SCU = {
    VERIFICATION: "`doseqr echo`, the page's test of a node, `doseqr check`",
    STUDY_ROOT_FIND: "queries; verification of what arrived at a store node",
    STUDY_ROOT_MOVE: "retrieves of a node with `--retrieve-with move`, the default",
    STORAGE_COMMITMENT: "a store node with `--verify-with commitment`",
}


def text_of_page() -> str:
    """Return the whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    head, *rest = (Path(__file__).parent / "statement.md").read_text(encoding="utf-8").split("<!-- ")
    yield head.rstrip()
    tables = {
        "identity": _identity,
        "scu": _scu,
        "get": _get,
        "keys": _keys,
        "scp": _scp,
        "web": _web,
        "web_statuses": _web_statuses,
    }
    for part in rest:
        name, _, text = part.partition(" -->")
        yield ""
        yield from tables[name]()
        yield text.rstrip()


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _named(uid: str) -> str:
    return f"{UID(uid).name} `{uid}`"


def _identity() -> Iterator[str]:
    fields = Settings.model_fields
    yield from _table(
        ("parameter", "value"),
        (
            ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
            ("Implementation Version Name", "`DOSEQR_` and the version, at most 16 characters"),
            ("Application Context Name", "`1.2.840.10008.3.1.1.1`"),
            ("Maximum PDU size that is received by the store", f"{MAX_PDU_BYTES} bytes"),
            ("Asynchronous operations window", "not proposed, not accepted: one operation at a time"),
            ("User identity negotiation", "not proposed, ignored"),
            ("Associations at once, to a node", "4 over all workers; a limit of each node"),
            ("Associations at once, to the store", f"{fields['store_associations'].default}"),
            (
                "Time without a response after which an association is aborted",
                f"{fields['dimse_timeout'].default:g} s",
            ),
        ),
    )


def _scu() -> Iterator[str]:
    syntaxes = ", ".join(_named(syntax) for syntax in TRANSFER_SYNTAXES)
    yield from _table(
        ("SOP class", "role", "transfer syntaxes", "for"),
        ((_named(uid), "SCU", syntaxes, purpose) for uid, purpose in SCU.items()),
    )


def _get() -> Iterator[str]:
    """Yield the storage classes of C-GET: of each, the transfer syntaxes that are offered for it alone."""
    yield from _table(
        ("SOP class", "role", "transfer syntaxes"),
        (
            (_named(storage_class), "SCP (C-STORE sub-operations)", ", ".join(f"`{uid}`" for uid in syntaxes))
            for storage_class, syntaxes in get_contexts().items()
        ),
    )


def get_contexts() -> dict[str, tuple[str, ...]]:
    """Return what is offered for each storage class where it is the one that is wanted."""
    return {
        storage_class: tuple(
            dict.fromkeys(
                syntax
                for offered, syntaxes in offers([storage_class])
                if offered == storage_class
                for syntax in syntaxes
            )
        )
        for storage_class in (*REPORT_CLASSES, *(uid for uid in EVERY_CLASS if uid not in REPORT_CLASSES))
    }


def _keys() -> Iterator[str]:
    identifiers = {
        "STUDY": study_identifier(with_station_name=True, with_modality=True),
        "SERIES": series_identifier(["1"]),
        "IMAGE": image_identifier(["1"], ["2"]),
    }
    rows = [
        (
            level,
            f"{element.name} {element.tag}",
            "optional" if element.keyword in OPTIONAL_KEYS[level] else "",
        )
        for level, identifier in identifiers.items()
        for element in identifier
        if element.keyword not in ("QueryRetrieveLevel", "SpecificCharacterSet")
    ]
    yield from _table(("level", "key", "may be refused by the SCP"), rows)


def web_requests() -> dict[str, tuple[str, str]]:
    """Return an example of each request to a DICOMweb server, by purpose: path and query, and Accept."""
    series = move_identifier("SERIES", ["1"], ["2"])
    instance = move_identifier("IMAGE", ["1"], ["2"], ["3"])
    return {
        "studies of a window": (qido_target(_of_a_day()), pages.ACCEPT_JSON),
        "series of a study": (qido_target(series_identifier(["1"])), pages.ACCEPT_JSON),
        "instances of a series": (qido_target(image_identifier(["1"], ["2"])), pages.ACCEPT_JSON),
        "objects of a series": (wado_targets(series)[0].path, ACCEPT),
        "one object": (wado_targets(instance)[0].path, ACCEPT),
        "header of one object": (wado_targets(instance)[0].metadata_path, ACCEPT_JSON),
        "a short value of a header": ("{BulkDataURI of the header}", ACCEPT_BULK),
    }


def _of_a_day() -> Dataset:
    identifier = study_identifier(with_station_name=False, with_modality=False)
    identifier.StudyDate, identifier.ModalitiesInStudy = "20240301-20240307", "CT"
    return identifier


def _web() -> Iterator[str]:
    limits = ", ".join(str(limit) for limit in PAGE_LIMITS)
    rows = [
        (purpose, f"`GET {_without_values(target)}`", f"`{accept}`")
        for purpose, (target, accept) in web_requests().items()
    ]
    yield from _table(("purpose", "request", "Accept"), rows)
    yield ""
    yield (
        f"`limit` is {limits}, whichever a server takes first, and `offset` follows what came. Where a server"
        f" refuses any transfer syntax (406), `{PLAIN_ACCEPT}` is requested."
    )


def _without_values(target: str) -> str:
    """Return a request with its keys, and each attribute that it includes once, in short."""
    path, _, query = target.partition("?")
    parameters = [parameter.partition("=") for parameter in query.split("&") if parameter]
    keys = [name for name, _, _value in parameters if name != "includefield"]
    shown = [*(f"{name}=…" for name in keys), "includefield=…", "limit=…", "offset=…"]
    for resource, name, uid in (
        ("studies", "study", 1),
        ("series", "series", 2),
        ("instances", "instance", 3),
    ):
        path = path.replace(f"/{resource}/{uid}", f"/{resource}/{{{name}}}")
    return f"{path}?{'&'.join(shown)}" if parameters else path


def _web_statuses() -> Iterator[str]:
    rows = []
    for status in WEB_STATUSES:
        error = error_of_status(status, "")
        usual = "not repeated" if error.permanent else "tried again, then named as missing"
        after = "waited for, as `Retry-After` says" if error.congested else _BEHAVIOUR.get(status, usual)
        rows.append((f"{status.value} {status.phrase}", f"`{error.code}`", after))
    yield from _table(("HTTP status", "code", "behaviour"), rows)


def _scp() -> Iterator[str]:
    yield from _table(
        ("SOP class", "role", "transfer syntaxes"),
        (
            (_named(VERIFICATION), "SCP", "any that is proposed first"),
            (
                "every composite storage class, current, retired or private",
                "SCP",
                "any that is proposed first",
            ),
            (
                _named(STORAGE_COMMITMENT),
                "SCU (N-EVENT-REPORT is received)",
                ", ".join(_named(syntax) for syntax in TRANSFER_SYNTAXES),
            ),
        ),
    )
