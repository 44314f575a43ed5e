"""Stable reason codes and the sentence beside each; codes are for programs and never change their meaning.

Sentences hold no patient data: their blanks take only names of nodes, numbers and words of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """What a reason explains."""

    KEEP = "keep"
    DROP = "drop"
    #: Stands beside a reason.
    NOTE = "note"
    MISSING = "missing"
    FAILURE = "failure"


class Reason(StrEnum):
    """Why a study, series or object was kept or dropped, is missing, or why a job failed.

    Among the kept and among the dropped the most informative stand first: where the parts of a study or
    series have several reasons, it takes the first.
    """

    # kept
    RDSR = "rdsr"
    RRDSR = "rrdsr"
    ESR = "esr"
    UNKNOWN_SR = "unknown_sr"
    IMAGES_NO_REPORT = "images_no_report"
    IMAGES_BESIDE_REPORT = "images_beside_report"
    PHILIPS_DOSE_INFO = "philips_dose_info"
    PHILIPS_MAYBE_DOSE_INFO = "philips_maybe_dose_info"
    TOSHIBA_SECONDARY_CAPTURE = "toshiba_secondary_capture"
    TOSHIBA_FIRST_IMAGE = "toshiba_first_image"
    FIRST_IMAGE_PET = "first_image_pet"
    FIRST_IMAGE_NM = "first_image_nm"

    # dropped, because it was not requested
    EXCLUDED_DESCRIPTION = "excluded_description"
    NOT_IN_KEEP_DESCRIPTION = "not_in_keep_description"
    EXCLUDED_STATION = "excluded_station"
    NOT_IN_KEEP_STATION = "not_in_keep_station"
    NOT_REQUESTED_TYPE = "not_requested_type"
    NOT_SR_ONLY = "not_sr_only"
    KNOWN = "known"

    # dropped: holds no dose that is needed
    UNKNOWN_SR_OPTION_OFF = "unknown_sr_option_off"
    SUPERSEDED_BY_REPORT = "superseded_by_report"
    SUPERSEDED_BY_PET = "superseded_by_pet"
    REPORT_OF_OTHER_TYPE = "report_of_other_type"
    ESR_NOT_ENOUGH = "esr_not_enough"
    PATIENT_DOSE_REPORT = "patient_dose_report"
    TEXT_REPORT = "text_report"
    NOT_A_DOSE_SERIES = "not_a_dose_series"
    NOT_THE_FIRST_IMAGE = "not_the_first_image"
    NOT_AN_IMAGE_CLASS = "not_an_image_class"
    EMPTY_AT_IMAGE_LEVEL = "empty_at_image_level"
    MODALITY_NOT_RETURNED = "modality_not_returned"
    NO_DOSE_OBJECT = "no_dose_object"

    # notes
    DESCRIPTION_NOT_RETURNED = "description_not_returned"
    STATION_NOT_RETURNED = "station_not_returned"
    DESCRIPTION_AND_STATION_NOT_RETURNED = "description_and_station_not_returned"
    TIME_NOT_RETURNED = "time_not_returned"
    SOP_CLASS_NOT_RETURNED = "sop_class_not_returned"
    KNOWN_NOT_COMPARABLE = "known_not_comparable"
    UNCHANGED_SINCE = "unchanged_since"

    # missing
    WINDOW_NOT_ANSWERED = "window_not_answered"
    STUDY_NOT_ANSWERED = "study_not_answered"
    SERIES_NOT_ANSWERED = "series_not_answered"
    FEWER_SERIES_THAN_ANNOUNCED = "fewer_series_than_announced"
    FEWER_OBJECTS_THAN_ANNOUNCED = "fewer_objects_than_announced"
    REPORT_NOT_RETURNED = "report_not_returned"
    CAPPED = "capped"
    NOT_ARRIVED = "not_arrived"
    NOT_CONFIRMED = "not_confirmed"
    NOT_COMMITTED = "not_committed"
    CANCELLED = "cancelled"

    # failures of jobs, slices and moves
    HOST_NOT_FOUND = "host_not_found"
    REMOTE_UNREACHABLE = "remote_unreachable"
    STORE_UNREACHABLE = "store_unreachable"
    NOTHING_FOUND = "nothing_found"
    TIMED_OUT = "timed_out"
    ABORTED = "aborted"
    CONNECTION_LOST = "connection_lost"
    ASSOCIATION_REJECTED = "association_rejected"
    NODE_BUSY = "node_busy"
    ACCESS_REFUSED = "access_refused"
    NO_DICOMWEB = "no_web_service_there"
    NOT_FOUND = "not_found"
    HTTP_ERROR = "http_error"
    CONTEXT_NOT_ACCEPTED = "context_not_accepted"
    OUT_OF_RESOURCES = "out_of_resources"
    MOVE_DESTINATION_UNKNOWN = "move_destination_unknown"
    MOVED_NOTHING = "moved_nothing"
    NOTHING_ARRIVED = "nothing_arrived"
    STATUS_FAILURE = "status_failure"
    DISK_FULL = "disk_full"
    NODE_REMOVED = "node_removed"
    NODE_DISABLED = "node_disabled"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    NO_WORKER = "no_worker"
    INTERNAL_ERROR = "internal_error"


_K, _D, _N, _M, _F = Kind.KEEP, Kind.DROP, Kind.NOTE, Kind.MISSING, Kind.FAILURE

#: What each code explains, and its sentence; `{blanks}` are filled by `sentence`.
TEXTS: Mapping[Reason, tuple[Kind, str]] = MappingProxyType(
    {
        Reason.RDSR: (_K, "An X-ray radiation dose report (RDSR)."),
        Reason.RRDSR: (_K, "A radiopharmaceutical radiation dose report (RRDSR)."),
        Reason.ESR: (_K, "An enhanced structured report; there is no dose report."),
        Reason.UNKNOWN_SR: (
            _K,
            "A structured report of unknown class; it may be a dose report, and the option wants it.",
        ),
        Reason.IMAGES_NO_REPORT: (_K, "The image headers hold the dose; there is no dose report."),
        Reason.IMAGES_BESIDE_REPORT: (
            _K,
            "The image headers hold the dose; the report may belong to another modality of the study.",
        ),
        Reason.PHILIPS_DOSE_INFO: (_K, "A CT series described as dose info."),
        Reason.PHILIPS_MAYBE_DOSE_INFO: (
            _K,
            "A CT series of few objects in a study without series descriptions; it may be dose info.",
        ),
        Reason.TOSHIBA_SECONDARY_CAPTURE: (_K, "CT secondary captures, which may show the dose."),
        Reason.TOSHIBA_FIRST_IMAGE: (_K, "The first image of a CT series."),
        Reason.FIRST_IMAGE_PET: (_K, "The first image of a PET series; its header holds the activity."),
        Reason.FIRST_IMAGE_NM: (
            _K,
            "The first image of a nuclear medicine series; its header holds the activity.",
        ),
        Reason.EXCLUDED_DESCRIPTION: (_D, "The study description holds a term to exclude."),
        Reason.NOT_IN_KEEP_DESCRIPTION: (_D, "The study description holds none of the terms to keep."),
        Reason.EXCLUDED_STATION: (_D, "The station name holds a term to exclude."),
        Reason.NOT_IN_KEEP_STATION: (_D, "The station name holds none of the terms to keep."),
        Reason.NOT_REQUESTED_TYPE: (_D, "The modality was not requested."),
        Reason.NOT_SR_ONLY: (_D, "The study holds other modalities beside its reports."),
        Reason.KNOWN: (_D, "The database has it already."),
        Reason.NO_DOSE_OBJECT: (_D, "Nothing in it carries the dose."),
        Reason.UNKNOWN_SR_OPTION_OFF: (
            _D,
            (
                "The PACS does not return what kind of structured report it is; it may be a dose report, and"
                " the option --empty-sr gets it."
            ),
        ),
        Reason.SUPERSEDED_BY_REPORT: (_D, "A dose report comes before it."),
        Reason.SUPERSEDED_BY_PET: (_D, "The PET series come before it."),
        Reason.TEXT_REPORT: (_D, "Its class is not that of a dose report."),
        Reason.PATIENT_DOSE_REPORT: (_D, "A patient dose report, which estimates from other reports."),
        Reason.REPORT_OF_OTHER_TYPE: (_D, "A dose report of another modality than those requested."),
        Reason.ESR_NOT_ENOUGH: (
            _D,
            "An enhanced structured report, which is no dose report of this modality.",
        ),
        Reason.NOT_A_DOSE_SERIES: (_D, "A series of a kind that carries no dose."),
        Reason.NOT_AN_IMAGE_CLASS: (_D, "No original image of this modality."),
        Reason.NOT_THE_FIRST_IMAGE: (_D, "The first image of the series is enough."),
        Reason.EMPTY_AT_IMAGE_LEVEL: (_D, "The PACS named no object of this series."),
        Reason.MODALITY_NOT_RETURNED: (_D, "The PACS returned no modality that is one of DICOM."),
        Reason.DESCRIPTION_NOT_RETURNED: (_N, "The PACS returned no description to filter by."),
        Reason.STATION_NOT_RETURNED: (_N, "The PACS returned no station name to filter by."),
        Reason.DESCRIPTION_AND_STATION_NOT_RETURNED: (
            _N,
            "The PACS returned neither description nor station name to filter by.",
        ),
        Reason.TIME_NOT_RETURNED: (
            _N,
            "The PACS returned no time of day: whether the study lies in the requested hours is not known.",
        ),
        Reason.SOP_CLASS_NOT_RETURNED: (_N, "The PACS returned no SOP class to distinguish objects by."),
        Reason.KNOWN_NOT_COMPARABLE: (
            _N,
            "The PACS named no object of this series, so it cannot be compared with the database.",
        ),
        Reason.UNCHANGED_SINCE: (
            _N,
            "The study has not grown since an earlier query looked at it, and all kept then is known.",
        ),
        Reason.WINDOW_NOT_ANSWERED: (_M, "The PACS did not return everything for this window."),
        Reason.STUDY_NOT_ANSWERED: (_M, "The PACS did not return everything for this study."),
        Reason.SERIES_NOT_ANSWERED: (_M, "The PACS did not return everything for this series."),
        Reason.FEWER_SERIES_THAN_ANNOUNCED: (
            _M,
            "The PACS returned {answered} series and announces {announced}.",
        ),
        Reason.FEWER_OBJECTS_THAN_ANNOUNCED: (
            _M,
            "The PACS returned {answered} objects of a series and announces {announced}.",
        ),
        Reason.REPORT_NOT_RETURNED: (
            _M,
            (
                "The PACS names a structured report (SR) among the modalities of the study, but returned no"
                " series and no object that is one."
            ),
        ),
        Reason.CAPPED: (
            _M,
            "The PACS may stop at a number of matches, and this window cannot be cut further.",
        ),
        Reason.NOT_ARRIVED: (_M, "It was requested and did not arrive."),
        Reason.NOT_CONFIRMED: (_M, "Nothing confirms that it arrived."),
        Reason.NOT_COMMITTED: (_M, "The store node does not commit to keep it."),
        Reason.CANCELLED: (_M, "The job was cancelled before it was its turn."),
        Reason.HOST_NOT_FOUND: (_F, "The host name of {node} is not known."),
        Reason.REMOTE_UNREACHABLE: (_F, "The remote node {node} cannot be reached."),
        Reason.NOTHING_FOUND: (
            _F,
            (
                "The PACS returned no study at all: not in this window, in the last year or on any date, of"
                " any modality. That there is none rests on its word alone; to search window by window, run"
                " the query again for what is missing."
            ),
        ),
        Reason.STORE_UNREACHABLE: (_F, "The store node {node} cannot be reached."),
        Reason.TIMED_OUT: (_F, "{node} did not respond in time."),
        Reason.ABORTED: (_F, "{node} aborted the association."),
        Reason.CONNECTION_LOST: (_F, "The connection to {node} was lost."),
        Reason.ASSOCIATION_REJECTED: (_F, "{node} rejected the association: {detail}."),
        Reason.NODE_BUSY: (_F, "{node} is busy."),
        Reason.ACCESS_REFUSED: (
            _F,
            "{node} does not let DoseQR in: check its certificate, authentication and secret.",
        ),
        Reason.NO_DICOMWEB: (_F, "There is no DICOMweb service at the address of {node}."),
        Reason.NOT_FOUND: (_F, "{node} knows nothing at this address (HTTP 404)."),
        Reason.HTTP_ERROR: (_F, "{node} responded with an HTTP error."),
        Reason.CONTEXT_NOT_ACCEPTED: (_F, "{node} does not offer this service."),
        Reason.OUT_OF_RESOURCES: (_F, "{node} is out of resources for this request."),
        Reason.MOVE_DESTINATION_UNKNOWN: (
            _F,
            (
                "The PACS does not know the store node: its administrator has to enter AE title {ae_title}, "
                "host {host}, port {port} as a destination."
            ),
        ),
        Reason.MOVED_NOTHING: (_F, "The PACS reports success and moved nothing."),
        Reason.NOTHING_ARRIVED: (_F, "Nothing of what was requested arrived."),
        Reason.STATUS_FAILURE: (_F, "{node} responded with status {status}."),
        Reason.DISK_FULL: (_F, "The disk of the store is full."),
        Reason.NODE_REMOVED: (_F, "The node was removed."),
        Reason.NODE_DISABLED: (_F, "The node is switched off."),
        Reason.TOO_MANY_ATTEMPTS: (_F, "It was tried {attempts} times without success."),
        Reason.NO_WORKER: (_F, "No worker listens; start one with: doseqr serve {service}."),
        Reason.INTERNAL_ERROR: (_F, "An error of DoseQR itself; the log has the details."),
    }
)


#: Sentences for where the blanks of `TEXTS` are not known.
TEXTS_WITHOUT_BLANKS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.FEWER_SERIES_THAN_ANNOUNCED: "The PACS returned fewer series than it announces for the study.",
        Reason.FEWER_OBJECTS_THAN_ANNOUNCED: (
            "The PACS returned fewer objects than it announces for the series."
        ),
        Reason.ASSOCIATION_REJECTED: "{node} rejected the association.",
        Reason.MOVE_DESTINATION_UNKNOWN: (
            "The PACS does not know the store node: its administrator has to enter it as a destination."
        ),
        Reason.STATUS_FAILURE: "{node} returned a failure status.",
        Reason.TOO_MANY_ATTEMPTS: "It was tried several times without success.",
        Reason.NO_WORKER: "No worker listens; start the service with: doseqr serve.",
    }
)


def _fill(reason: Reason, blanks: Mapping[str, object]) -> str:
    known = {"node": "the node", **blanks}
    try:
        return TEXTS[reason][1].format_map(known)
    except KeyError:
        return TEXTS_WITHOUT_BLANKS[reason].format_map(known)


def kind(code: str) -> Kind | None:
    """Return what a code explains; None for a code that this version does not know."""
    try:
        return TEXTS[Reason(code)][0]
    except ValueError:
        return None


def sentence(code: str, note: str | None = None, /, **blanks: object) -> str:
    """Return the sentence of a code, followed by that of its note; an unknown code is shown as words."""
    try:
        text = _fill(Reason(code), blanks)
    except ValueError:
        words = code.replace("_", " ").capitalize().replace("Http ", "HTTP ")
        text = f"{words}." if words else ""
    text = text[:1].upper() + text[1:]
    return f"{text} {sentence(note)}" if note else text
