"""Texts of C-FIND responses whose character set is declared rightly, wrongly, misspelt or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from shared.dicom.query.matches import StudyMatch
from tests.matrix.responses import PENDING, SUCCESS, ResponseRow, element, response

JAPANESE, KOREAN, CHINESE = "胸部ＣＴ検査", "흉부CT", "胸部扫描"
#: The second byte of two of these characters is 0x5C in Shift-JIS.
BACKSLASHES = "胸部ソ表"
_KS_X_1001, _GB_2312 = b"\x1b$)C", b"\x1b$)A"


@dataclass(frozen=True)
class TextRow:
    """A text, its bytes, and the value of Specific Character Set (0008,0005) that comes with them."""

    encoding: str
    declared: str
    value: bytes
    text: str


def _of(encoding: str, text: str, *declared: str) -> list[TextRow]:
    """Return the same text under each declaration."""
    return [TextRow(encoding, name, text.encode(encoding), text) for name in declared]


def _bytes(encoding: str, value: bytes, text: str, *declared: str) -> list[TextRow]:
    return [TextRow(encoding, name, value, text) for name in declared]


_ISO_2022_JP = JAPANESE.encode("iso2022_jp")

TEXT_ROWS = [
    # One byte for a character
    *_of(
        "latin-1", "Köln", "", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192", "ISO_IR 999", "ISO_IR 100\\ISO_IR 144"
    ),
    *_of("iso8859-2", "Łódź klatka", "ISO_IR 101", "ISO 2022 IR 101"),
    *_of("iso8859-4", "ĀĒĪ", "ISO_IR 110"),
    *_of("iso8859-5", "Грудь", "ISO_IR 144", "ISO_8859-5"),
    *_of("iso8859-6", "صدر", "ISO_IR 127"),
    *_of("iso8859-7", "Θώρακας", "ISO_IR 126"),
    *_of("iso8859-8", "חזה", "ISO_IR 138"),
    *_of("iso8859-9", "Göğüs", "ISO_IR 148"),
    *_of("iso8859-15", "Œuvre €", "ISO_IR 203", "ISO 2022 IR 203"),
    *_of("tis-620", "ทรวงอก", "ISO_IR 166", "ISO 2022 IR 166", "TIS-620"),
    *_of("cp1252", "Köln … x", "ISO_IR 100", "windows-1252", "CP1252"),
    *_of("cp1251", "Грудь", "CP1251", "windows-1251"),
    # UTF-8
    *_of(
        "utf-8",
        "Köln Schädel",
        "",
        "ISO_IR 192",
        "ISO_IR 100",
        "UTF-8",
        "UNICODE 1 1",
        "ISO_IR 192\\ISO_IR 100",
    ),
    *_of("utf-8", "胸部", "ISO_IR 13", "ISO 10646", "\\ISO 2022 IR 87", "GB18030", "ISO_IR 100"),
    *_of("utf-8", "Грудь", "ISO_IR 144"),
    *_of("utf-8", "חזה", "ISO_IR 138"),
    *_of("utf-8", "صدر", "ISO_IR 127"),
    *_of("utf-8", "ทรวงอก", "ISO_IR 166"),
    *_of("utf-8", "흉부", "ISO 2022 IR 149"),
    *_of("utf-8-sig", "Köln", "ISO_IR 192"),
    # Several bytes for a character, without escape sequences
    *_of("gb18030", CHINESE, "GB18030", "gb18030", "GB_18030", "GBK", "GB2312", "ISO 2022 IR 58"),
    *_of("euc-kr", KOREAN, "ISO 2022 IR 149", "\\ISO 2022 IR 149", "ISO_IR 149", "EUC-KR", "KS_X_1001"),
    *_of("shift_jis", BACKSLASHES, "ISO 2022 IR 13", "SHIFT_JIS", "Shift-JIS"),
    *_of("shift_jis", "ﾃｽﾄ検査", "ISO_IR 13"),
    # Escape sequences, whatever is declared
    *_bytes(
        "iso2022-jp", _ISO_2022_JP, JAPANESE, "\\ISO 2022 IR 87", "", "ISO_IR 100", "ISO_IR 192", "ISO IR 87"
    ),
    *_bytes(
        "JIS X 0201 and 0208",
        b"\xc3\xbd\xc4 " + _ISO_2022_JP,
        f"ﾃｽﾄ {JAPANESE}",
        "ISO 2022 IR 13\\ISO 2022 IR 87",
    ),
    *_of("iso2022-jp-2", "丂", "\\ISO 2022 IR 159", ""),
    *_bytes("KS X 1001", _KS_X_1001 + KOREAN.encode("euc_kr"), KOREAN, "\\ISO 2022 IR 149", "", "ISO_IR 192"),
    *_bytes("GB 2312", _GB_2312 + CHINESE.encode("gb2312"), CHINESE, "\\ISO 2022 IR 58", "", "ISO_IR 100"),
    *_bytes("ISO 8859-5", b"\x1b-L" + "Грудь".encode("iso8859-5"), "Грудь", "", "\\ISO 2022 IR 144"),
    *_bytes(
        "ISO 8859-1 and 7",
        b"K\xf6ln \x1b-F" + "Θώρακας".encode("iso8859-7"),
        "Köln Θώρακας",
        "ISO 2022 IR 100\\ISO 2022 IR 126",
    ),
    *_bytes("UTF-8 by escape", b"\x1b%GK\xc3\xb6ln \xe8\x83\xb8\x1b%@", "Köln 胸", ""),
    *_bytes(
        "KS X 1001, with a delimiter",
        _KS_X_1001 + "흉부".encode("euc_kr") + b"^K\xf6ln\\" + b"K\xf6ln",
        "흉부^K�ln\\Köln",
        "ISO 2022 IR 100\\ISO 2022 IR 149",
    ),
    # Cut off, or damaged
    *_bytes("UTF-8, cut within a character", b"H\xc3\xbcft\xc3", "Hüft�", "ISO_IR 192", "ISO_IR 100"),
    *_bytes("UTF-8 with a wrong byte", b"K\xc3\xb6ln\xff Thorax", "Köln� Thorax", "ISO_IR 192"),
    *_bytes("GB 18030, cut", CHINESE.encode("gb18030")[:-1], "胸部扫�", "GB18030"),
    *_bytes("KS X 1001, cut", _KS_X_1001 + "흉부".encode("euc_kr")[:-1], "흉�", "\\ISO 2022 IR 149"),
    *_bytes("JIS X 0208, cut", _ISO_2022_JP[:-4], "胸部ＣＴ検��", "\\ISO 2022 IR 87"),
    *_bytes("a lone escape at the end", _ISO_2022_JP + b"\x1b", JAPANESE, "\\ISO 2022 IR 87"),
    *_bytes("half an escape at the end", b"THORAX \x1b$", "THORAX", "ISO_IR 100"),
    *_bytes("an escape and nothing more", b"K\xf6ln\x1b$B", "Köln", "ISO_IR 100"),
]


def _stream(row: TextRow) -> bytes:
    match = element(0x0008, 0x0005, row.declared.encode()) + element(0x0008, 0x0061, b"CT\\SR")
    match += element(0x0008, 0x1010, row.value) + element(0x0008, 0x1030, row.value)
    return response(PENDING, match + element(0x0020, 0x000D, b"1.2.1\0")) + response(SUCCESS)


CHARACTER_SET_ROWS = [
    ResponseRow(
        f"a description in {row.encoding}, of {row.text[:2]}, and the character set {row.declared!r}",
        _stream(row),
        (StudyMatch("1.2.1", ("CT", "SR"), row.text, row.text),),
    )
    for row in TEXT_ROWS
]
