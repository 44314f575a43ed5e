"""Codes of dose reports: their storage classes and concepts (PS3.16, templates 10001 to 10044)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: X-Ray, Radiopharmaceutical and Enhanced X-Ray Radiation Dose SR, and Enhanced SR (PS3.4 B.5).
REPORT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.88.67",
    "1.2.840.10008.5.1.4.1.1.88.68",
    "1.2.840.10008.5.1.4.1.1.88.76",
    "1.2.840.10008.5.1.4.1.1.88.22",
)
#: Those whose content is read. Some devices write dose reports as Comprehensive, Comprehensive 3D or
#: Extensible SR; they come with series of unknown class.
READ_CLASSES = (
    *REPORT_CLASSES,
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.34",
    "1.2.840.10008.5.1.4.1.1.88.35",
)


@dataclass(frozen=True, slots=True)
class Code:
    """A coded entry (PS3.3 8.8): compared by value and scheme, shown by its meaning."""

    value: str
    scheme: str
    meaning: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """What is shown: the meaning, or without one the name or the value of the code."""
        return self.meaning or _NAMES.get(self.value, self.value)


#: Coding scheme designators that mean another one (PS3.16 table 8-1 and annex 8.2).
_SAME_SCHEME = {"SNM3": "SRT", "99SDM": "SRT", "SNOMED-RT": "SRT", "SNOMED-CT": "SCT", "SNOMED": "SCT"}
#: Coding Scheme UIDs (PS3.16 table 8-1).
_SCHEME_OF_UID = {
    "1.2.840.10008.2.16.4": "DCM",
    "2.16.840.1.113883.6.8": "UCUM",
    "2.16.840.1.113883.6.96": "SCT",
    "2.16.840.1.113883.6.5": "SRT",
}
#: How codes look of which nothing names the scheme.
_SCHEME_OF_FORM = ((re.compile(r"1[0-9]{5}"), "DCM"), (re.compile(r"[A-Z]-[0-9A-Z]{4,6}"), "SRT"))


def scheme_of(value: str, designator: str, uid: str) -> str:
    """Return the coding scheme of a code value, from what devices write of it.

    A designator is one in any case, and an old one means the new one. Without it, the Coding Scheme UID
    counts, then the form of the value.
    """
    known = designator.upper() or _SCHEME_OF_UID.get(uid, "")
    if not known:
        known = next((scheme for form, scheme in _SCHEME_OF_FORM if form.fullmatch(value)), "")
    known = _SAME_SCHEME.get(known, known)
    # The editions of SNOMED are taken for each other; letters are in codes of RT alone.
    return ("SCT" if value.isdigit() else "SRT") if known in ("SCT", "SRT") else known


def _dcm(value: str) -> Code:
    return Code(value, "DCM")


XRAY_DOSE_REPORT = _dcm("113701")
RADIOPHARMACEUTICAL_DOSE_REPORT = _dcm("113500")

# CT: TID 10011 to 10014
CT_ACCUMULATED = _dcm("113811")
CT_EVENTS = _dcm("113812")
CT_DLP_TOTAL = _dcm("113813")
CT_ACQUISITION = _dcm("113819")
CT_DOSE = _dcm("113829")
MEAN_CTDI_VOL = _dcm("113830")
DLP = _dcm("113838")
CTDI_PHANTOM = _dcm("113835")

# Projection: TID 10001 to 10007
ACCUMULATED = _dcm("113702")
IRRADIATION_EVENT = _dcm("113706")
ACQUISITION_PLANE = _dcm("113764")
#: The total of all, and those of the modes, which some reports have alone.
DAP_TOTALS = {"": _dcm("113722"), "fluoroscopy": _dcm("113726"), "acquisition": _dcm("113727")}
DOSE_RP_TOTALS = {"": _dcm("113725"), "fluoroscopy": _dcm("113728"), "acquisition": _dcm("113729")}
FLUORO_TIME_TOTAL = _dcm("113730")
DAP = _dcm("122130")
DOSE_RP = _dcm("113738")
SINGLE_PLANE = _dcm("113622")

# Mammography: TID 10005
ACCUMULATED_AGD = _dcm("111637")
AGD = _dcm("111631")
#: Laterality and mammography sides, in the schemes of earlier and later editions.
LATERALITY = (Code("G-C171", "SRT"), Code("272741003", "SCT"))

#: Planes, phantoms and sides (PS3.16 CID 10003, 4052, 6022 and 244), for codes that come without a meaning.
_NAMES = {
    "113620": "Plane A",
    "113621": "Plane B",
    "113690": "IEC Head Dosimetry Phantom",
    "113691": "IEC Body Dosimetry Phantom",
    **dict.fromkeys(("T-04030", "80248007"), "Left breast"),
    **dict.fromkeys(("T-04020", "73056007"), "Right breast"),
    **dict.fromkeys(("T-04080", "63762007"), "Both breasts"),
    **dict.fromkeys(("G-A101", "7771000"), "Left"),
    **dict.fromkeys(("G-A100", "24028007"), "Right"),
    **dict.fromkeys(("G-A102", "51440002"), "Bilateral"),
}

# Radiopharmaceutical: TID 10021 and 10022
ADMINISTRATION = _dcm("113502")
AGENT = (Code("F-61FDB", "SRT"), Code("349358000", "SCT"))
ADMINISTERED_ACTIVITY = _dcm("113507")

# Enhanced X-Ray Radiation Dose: TID 10041 and 10042
ENHANCED_ACCUMULATED = _dcm("130500")
ENHANCED_EVENT = _dcm("130501")


def _siemens(value: str) -> Code:
    return Code(value, "99SMS_RADSUM")


# The private radiation summary of Siemens' mobile C-arms
SIEMENS_REPORT = _siemens("C-10")
SIEMENS_EXPOSURES = _siemens("C-200")
SIEMENS_FLUORO_TIME = _siemens("C-202")
SIEMENS_DAP = _siemens("C-204")
SIEMENS_AIR_KERMA = _siemens("C-210")
