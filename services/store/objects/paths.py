"""Where an object lies below the folder of objects; pure: only validated UIDs become a path."""

from __future__ import annotations

from pathlib import PurePosixPath

from shared.errors import InvalidInputError
from shared.identifiers import parse_uid

#: Files of objects end in this (PS3.10 leaves the name open; importers look for it).
SUFFIX = ".dcm"
#: Files being written, one folder for each process; never read by anybody else.
INCOMING = ".incoming"
#: Objects with a known UID but other bytes, kept aside.
CONFLICTS = ".conflicts"

#: Characters of a SHA-256 in hexadecimal.
_SHA256_LENGTH = 64
#: Study, series and file name.
_DEPTH = 3


def object_file(study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> str:
    """Return the same as `object_path`, as text.

    Raises:
        InvalidInputError: one of them is no UID; names it.
    """
    study = parse_uid("study_instance_uid", study_instance_uid)
    series = parse_uid("series_instance_uid", series_instance_uid)
    sop = parse_uid("sop_instance_uid", sop_instance_uid)
    return f"{study}/{series}/{sop}{SUFFIX}"


def object_path(study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> PurePosixPath:
    """Return `<study>/<series>/<sop>.dcm`, below the folder of objects.

    Raises:
        InvalidInputError: one of them is no UID; names it.
    """
    return PurePosixPath(object_file(study_instance_uid, series_instance_uid, sop_instance_uid))


def conflict_path(sop_instance_uid: str, sha256: str) -> PurePosixPath:
    """Return where other bytes with a known UID are kept aside: `.conflicts/<sop>/<sha256>.dcm`.

    Raises:
        InvalidInputError: the UID is none, or the digest is no SHA-256 in hexadecimal.
    """
    sop = parse_uid("sop_instance_uid", sop_instance_uid)
    if len(sha256) != _SHA256_LENGTH or not set(sha256) <= set("0123456789abcdef"):
        raise InvalidInputError("sha256", "must be 64 hexadecimal digits")
    return PurePosixPath(CONFLICTS, sop, sha256 + SUFFIX)


def sop_instance_uid_of(path: PurePosixPath) -> str | None:
    """Return the SOP Instance UID that a path has if `object_path` can have made it; else None."""
    if len(path.parts) != _DEPTH or path.suffix != SUFFIX:
        return None
    study, series, _name = path.parts
    try:
        made = object_path(study, series, path.stem)
    except InvalidInputError:
        return None
    return path.stem if made == path else None
