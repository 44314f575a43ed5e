"""What libraries print in passing stays out of standard error."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
from shared.logs import configure
configure("test", "DEBUG")
from pydicom.dataset import Dataset
from pydicom.charset import decode_element
ds = Dataset()
ds.FailedSOPInstanceUIDList = ["SECRET^NAME."]
ds.SpecificCharacterSet = "SECRET SET"
ds.StudyDescription = b"x"
ds.decode()
import warnings
warnings.warn("SECRET")
"""


def test_no_warning_of_pydicom_reaches_standard_error():
    # When
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    # Then
    assert "SECRET" not in ended.stderr
