"""WADO-RS (PS3.18 10.4): objects, their metadata and their bulk data."""

from collections.abc import Iterator, Sequence
from io import BytesIO

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from simulator import content
from simulator.archive.model import Archive, ArchiveMatch
from simulator.behaviour import Behaviour
from simulator.dicomweb.behaviour import WebBehaviour
from simulator.dicomweb.reply import Reply, json_list, multipart
from simulator.dicomweb.searches import keys_of
from simulator.query.search import Search, find

_NOT_FOUND, _NOT_ACCEPTABLE = 404, 406
_PIXEL_DATA = "7FE00010"
#: Longer values are bulk data (the size is the server's to choose).
_INLINE_BYTES = 1024


def objects(path: Sequence[str], accept: str, archive: Archive) -> tuple[Reply, int]:
    """Return the objects of a study or series, or one object, and their number."""
    matches = _matches(path, archive)
    if not matches:
        return Reply(_NOT_FOUND), 0
    if not ("multipart/related" in accept and "application/dicom" in accept) and "*/*" not in accept:
        return Reply(_NOT_ACCEPTABLE), 0
    return multipart(lambda: map(part10, matches)), len(matches)


def metadata(path: Sequence[str], archive: Archive, behaviour: WebBehaviour, url: str) -> tuple[Reply, int]:
    """Return the attributes of objects in the DICOM JSON model, without bulk data (PS3.18 10.4.1.1.2)."""
    matches = _matches(path, archive)
    if not matches:
        return Reply(_NOT_FOUND), 0

    def entries() -> Iterator[dict[str, object]]:
        return (_attributes(match, behaviour, url) for match in matches)

    return json_list(entries), len(matches)


def bulk_data(path: Sequence[str], tag: str, archive: Archive) -> Reply:
    """Return the value of one attribute of one object."""
    matches = _matches(path, archive)
    try:
        element = content.build(matches[0])[int(tag, 16)] if len(matches) == 1 else None
    except (KeyError, ValueError):
        element = None
    if element is None or not isinstance(element.value, bytes):
        return Reply(_NOT_FOUND)
    value = element.value
    return multipart(lambda: [value], part_type="application/octet-stream")


def part10(match: ArchiveMatch) -> bytes:
    """Return an object as a DICOM file; one that is a file, byte for byte."""
    if match.instance is not None and match.instance.path is not None:
        return match.instance.path.read_bytes()
    data_set = content.build(match)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def _matches(path: Sequence[str], archive: Archive) -> list[ArchiveMatch]:
    return list(find(Search("IMAGE", keys_of(path)), archive, Behaviour()))


def _attributes(match: ArchiveMatch, behaviour: WebBehaviour, url: str) -> dict[str, object]:
    assert match.series is not None
    assert match.instance is not None
    here = (
        f"{url}/studies/{match.study.study_instance_uid}/series/{match.series.series_instance_uid}"
        f"/instances/{match.instance.sop_instance_uid}/bulkdata"
    )
    inline = behaviour.pixel_data == "inline"
    data_set, has_pixels = _header(match, with_pixels=inline)
    attributes: dict[str, object] = data_set.to_json_dict(
        bulk_data_threshold=_INLINE_BYTES,
        bulk_data_element_handler=None if inline else lambda element: f"{here}/{element.tag:08X}",
        suppress_invalid_tags=True,
    )
    if has_pixels and behaviour.pixel_data == "bulk_data":
        attributes[_PIXEL_DATA] = {"vr": "OW", "BulkDataURI": f"{here}/{_PIXEL_DATA}"}
    return attributes


def _header(match: ArchiveMatch, *, with_pixels: bool) -> tuple[Dataset, bool]:
    """Return the attributes of an object, and whether it has pixels; those of a file are not read in vain."""
    instance = match.instance
    if instance is not None and instance.path is not None and not with_pixels:
        data_set: Dataset = dcmread(instance.path, stop_before_pixels=True)
        return data_set, "Rows" in data_set
    data_set = content.build(match)
    has_pixels = "PixelData" in data_set
    if has_pixels and not with_pixels:
        del data_set.PixelData
    return data_set, has_pixels
