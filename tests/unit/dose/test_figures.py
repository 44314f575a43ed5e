"""Figures: units of dose area products in the spellings of devices."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dose.figures import dap_factor

#: 1.5 Gy.cm2 in each unit.
SPELLINGS = [
    ("Gy.m2", "0.00015"), ("Gym2", "0.00015"), ("Gy*m2", "0.00015"), ("Gy\u00b7m2", "0.00015"),
    ("Gy m\u00b2", "0.00015"), ("dGy.cm2", "15"), ("dGycm2", "15"), ("dGy*cm\u00b2", "15"),
    ("cGy.cm2", "150"), ("cGycm2", "150"), ("cGy cm^2", "150"), ("mGy.cm2", "1500"), ("mGycm2", "1500"),
    ("mGy.cm**2", "1500"), ("mGy.cm.cm", "1500"), ("uGy.m2", "150"), ("uGym2", "150"), ("uGy*m2", "150"),
    ("\u00b5Gy.m2", "150"), ("\u03bcGym\u00b2", "150"), ("\u00c2\u00b5Gym2", "150"), ("mcGy.m2", "150"),
    ("mGy.m2", "0.15"), ("Gycm2", "1.5"), ("Gy.cm2", "1.5"), ("Gy.cm^2", "1.5"), ("(Gy.cm2)", "1.5"),
    ("cm2.Gy", "1.5"), ("uGy.cm2", "1500000"), ("mGy.mm2", "150000"), ("kGy.mm2", "0.15"),
    ("Gy.dm2", "0.015"), ("nGy.m2", "150000"), (" Gy.cm2 ", "1.5"), ("Gy-cm2", "1.5"),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "value"), SPELLINGS)
def test_a_product_is_converted_from_each_spelling(unit, value):
    # When
    factor = dap_factor(unit)
    # Then
    assert factor is not None
    assert Fraction(value) * factor == Fraction("1.5")


NO_PRODUCTS = (
    "Gy mGy Gy.cm mGy.cm Gy.m3 Gy/m2 Gy2.m2 Gy.m-2 R.cm2 Gy.cm2.s Gy.cm2/min GY.CM2 Gy.in2 cm2 Gy.cm2."
)


@pytest.mark.parametrize("unit", ["", *NO_PRODUCTS.split(), "{events}", "\ufffdGy.m2", "Gy.cm2" * 50])
def test_another_unit_has_no_factor(unit):
    # When, Then
    assert dap_factor(unit) is None


@pytest.mark.parametrize(
    ("gray", "length", "separator"),
    list(product(["Gy", "mGy", "uGy", "kGy"], ["m", "cm", "mm"], [".", "", "*", " "])),
)
def test_each_product_of_prefixes_has_the_factor_of_its_parts(gray, length, separator):
    # Given
    power = {"Gy": 0, "mGy": -3, "uGy": -6, "kGy": 3}[gray] + 2 * {"m": 0, "cm": -2, "mm": -3}[length]
    # When, Then
    assert dap_factor(f"{gray}{separator}{length}2") == Fraction(10) ** (power + 4)


@given(st.text(max_size=40))
def test_any_text_has_a_factor_or_none(text):
    # When
    factor = dap_factor(text)
    # Then
    assert factor is None or factor > 0
