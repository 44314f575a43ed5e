"""Units of dose reports in the spellings of devices, and their factors to one unit of each quantity."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dose import units
from shared.dose.units import DOSE_AREA_PRODUCT, factor_to

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
    ("GY.CM2", "1.5"), ("MGY.M2", "0.15"), ("DGYCM2", "15"), ("dGY*cm2", "15"), ("uGYm2", "150"),
    ("gy.m2", "0.00015"), ("mgy cm2", "1500"), ("Gy.cm+2", "1.5"), ("GyXcm2", "1.5"),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "value"), SPELLINGS)
def test_a_product_is_converted_from_each_spelling(unit, value):
    # When
    factor = factor_to(DOSE_AREA_PRODUCT, unit)
    # Then
    assert factor is not None
    assert Fraction(value) * factor == Fraction("1.5")


NO_PRODUCTS = (
    "Gy mGy Gy.cm mGy.cm Gy.m3 Gy/m2 Gy2.m2 Gy.m-2 R.cm2 Gy.cm2.s Gy.cm2/min Mgy.cm2 MGy.CM2 GY.CM Gy.in2 cm2"
    " Gy.cm2."
)


@pytest.mark.parametrize("unit", ["", *NO_PRODUCTS.split(), "{events}", "\ufffdGy.m2", "Gy.cm2" * 50])
def test_another_unit_has_no_factor(unit):
    # When, Then
    assert factor_to(DOSE_AREA_PRODUCT, unit) is None


@pytest.mark.parametrize(
    ("gray", "length", "separator"),
    list(product(["Gy", "mGy", "uGy", "kGy"], ["m", "cm", "mm"], [".", "", "*", " "])),
)
def test_each_product_of_prefixes_has_the_factor_of_its_parts(gray, length, separator):
    # Given
    power = {"Gy": 0, "mGy": -3, "uGy": -6, "kGy": 3}[gray] + 2 * {"m": 0, "cm": -2, "mm": -3}[length]
    # When, Then
    assert factor_to(DOSE_AREA_PRODUCT, f"{gray}{separator}{length}2") == Fraction(10) ** (power + 4)


#: The same measurement in the unit of its quantity and in others, each beside its value.
OTHERS = [
    (units.CTDI_VOL, "12.5", [("mGy", "12.5"), ("Gy", "0.0125"), ("cGy", "1.25"), ("uGy", "12500"),
                              ("rad", "1.25"), ("mrad", "1250"), ("mGy ", "12.5")]),
    (units.DOSE_LENGTH_PRODUCT, "450", [("mGy.cm", "450"), ("mGycm", "450"), ("mGy*cm", "450"),
                                        ("mGy cm", "450"), ("Gy.cm", "0.45"), ("Gycm", "0.45"),
                                        ("cGy.cm", "45"), ("uGy.m", "4500"), ("mGy.m", "4.5"),
                                        ("Gy.m", "0.0045"), ("mGy.mm", "4500"), ("cm.mGy", "450")]),
    (units.GLANDULAR_DOSE, "1.5", [("mGy", "1.5"), ("dGy", "0.015"), ("Gy", "0.0015"), ("cGy", "0.15"),
                                   ("\u00b5Gy", "1500"), ("mrad", "150")]),
    (units.REFERENCE_POINT_DOSE, "0.025", [("Gy", "0.025"), ("mGy", "25"), ("cGy", "2.5"), ("uGy", "25000")]),
    (units.ACTIVITY, "370", [("MBq", "370"), ("Bq", "370000000"), ("kBq", "370000"), ("GBq", "0.37"),
                             ("mCi", "10"), ("uCi", "10000"), ("Ci", "0.01"), ("\u00b5Ci", "10000")]),
    (units.TIME, "120", [("s", "120"), ("sec", "120"), ("min", "2"), ("ms", "120000"), ("msec", "120000"),
                         ("us", "120000000"), ("minutes", "2"), ("ds", "1200"),
                         ("MIN", "2"), ("Min", "2"), ("S", "120"), ("Seconds", "120")]),
    (units.TIME, "7200", [("h", "2"), ("hr", "2")]),
    (units.DOSE_AREA_PRODUCT, "1.5", [("rad.cm2", "150"), ("mrad.cm2", "150000")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "value", "unit", "in_unit"),
    [(quantity, value, *spelling) for quantity, value, spellings in OTHERS for spelling in spellings],
)
def test_a_measurement_is_converted_from_each_unit(quantity, value, unit, in_unit):
    # When
    factor = factor_to(quantity, unit)
    # Then
    assert factor is not None
    assert Fraction(in_unit) * factor == Fraction(value)


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [
        (units.CTDI_VOL, "mGy.cm"),
        (units.CTDI_VOL, "mSv"),
        (units.CTDI_VOL, "R"),
        (units.DOSE_LENGTH_PRODUCT, "mGy"),
        (units.DOSE_LENGTH_PRODUCT, "Mgy.cm"),
        (units.ACTIVITY, "Bq/ml"),
        (units.ACTIVITY, "MBQ"),
        (units.ACTIVITY, "cps"),
        (units.TIME, "m"),
        (units.TIME, "1"),
        (units.TIME, "min.s"),
        (units.TIME, ""),
    ],
)
def test_a_unit_of_another_quantity_has_no_factor(quantity, unit):
    # When, Then
    assert factor_to(quantity, unit) is None


@given(st.text(max_size=40))
def test_any_text_has_a_factor_or_none(text):
    # When
    factor = factor_to(DOSE_AREA_PRODUCT, text)
    # Then
    assert factor is None or factor > 0
