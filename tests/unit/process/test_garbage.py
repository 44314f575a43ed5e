"""How often the processes of DoseQR look for garbage."""

from __future__ import annotations

import gc

import pytest

from services.cli.main import main
from shared.process.garbage import THRESHOLDS


def test_a_process_of_doseqr_collects_garbage_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    monkeypatch.setattr("sys.argv", ["doseqr", "version"])
    # When
    try:
        code, thresholds = main(), gc.get_threshold()
    finally:
        gc.set_threshold(*before)
    # Then
    assert (code, thresholds) == (0, THRESHOLDS)
