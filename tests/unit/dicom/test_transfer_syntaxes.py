"""UIDs and value representations that are written in our code are those of pydicom's tables."""

from __future__ import annotations

from pydicom.uid import UID
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from shared.dicom import transfer_syntaxes
from shared.dicom.upper_layer import data_elements


def test_every_uid_is_a_transfer_syntax_of_that_name():
    # Given
    written = {
        name: uid for name, uid in vars(transfer_syntaxes).items() if name.isupper() and isinstance(uid, str)
    }
    # When
    known = {name: UID(uid) for name, uid in written.items()}
    # Then
    assert all(uid.is_transfer_syntax for uid in known.values())
    assert len(set(known.values())) == len(known)
    assert {name: uid.keyword for name, uid in known.items()} == {
        "IMPLICIT_VR_LITTLE_ENDIAN": "ImplicitVRLittleEndian",
        "EXPLICIT_VR_LITTLE_ENDIAN": "ExplicitVRLittleEndian",
        "BIG_ENDIAN": "ExplicitVRBigEndian",
        "DEFLATED": "DeflatedExplicitVRLittleEndian",
        "JPEG_BASELINE": "JPEGBaseline8Bit",
        "JPEG_EXTENDED": "JPEGExtended12Bit",
        "JPEG_LOSSLESS_SV1": "JPEGLosslessSV1",
        "JPEG_LS_LOSSLESS": "JPEGLSLossless",
        "JPEG_2000_LOSSLESS": "JPEG2000Lossless",
        "JPEG_2000": "JPEG2000",
        "RLE_LOSSLESS": "RLELossless",
    }
    assert {uid: UID(uid).name for uid in transfer_syntaxes.NAMES} == transfer_syntaxes.NAMES


def test_value_representations_are_those_of_the_standard():
    # When
    short, long = data_elements._SHORT_VRS, data_elements._LONG_VRS
    # Then
    assert short == {str(vr).encode() for vr in EXPLICIT_VR_LENGTH_16}
    assert long == {str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32}
