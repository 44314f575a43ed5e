"""Who we are: to peers (PS3.7 D.3.3.2), and to readers of the files that we write (PS3.10 7.1)."""

from __future__ import annotations

from importlib.metadata import version

#: 2.25 and the UUID 5e97db10-3266-4d12-81c8-f120b46307e9 as a decimal number (PS3.5 B.2), drawn for DoseQR.
IMPLEMENTATION_CLASS_UID = "2.25.125735911560372575857198724207314405353"

#: Characters of an Implementation Version Name (PS3.7 D.3.3.2.3).
_VERSION_NAME_MAX_LENGTH = 16

IMPLEMENTATION_VERSION_NAME = f"DOSEQR_{version('doseqr')}"[:_VERSION_NAME_MAX_LENGTH]
