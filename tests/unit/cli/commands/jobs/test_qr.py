"""The classic flags mean what cron lines expect of them."""

from __future__ import annotations

from typing import Any

import pytest

from services.cli.commands.jobs.qr import criteria_of, parser
from services.cli.output.exit_codes import CommandError
from shared.errors import InvalidInputError

NODES = ("1", "2")


def criteria(*flags: str) -> dict[str, Any]:
    return criteria_of(parser().parse_args([*flags, *NODES])).to_json()


def test_types_are_single_dashed_flags() -> None:
    # When
    requested = criteria("-ct", "-mg", "-fl", "-dx", "-nm")
    # Then
    assert requested["types"] == ["CT", "MG", "FL", "DX", "NM"]
    assert requested["include_sr_only"] is False
    assert requested["ignore_known"] is True


def test_sr_stands_alone() -> None:
    # When
    requested = criteria("-sr")
    # Then
    assert (requested["types"], requested["include_sr_only"]) == ([], True)
    with pytest.raises(CommandError, match="stands alone") as refused:
        criteria("-sr", "-ct")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("-f", "2024-05-01", "-t", "2024-05-03"), ("2024-05-01", "2024-05-03", None, None)),
        (("--dfrom", "2024-05-01"), ("2024-05-01", None, None, None)),
        (("--duntil=2024-05-03",), (None, "2024-05-03", None, None)),
        (
            ("-sd", "2024-05-01", "-tf", "0800", "-tt", "0930"),
            ("2024-05-01", "2024-05-01", "08:00", "09:30"),
        ),
        (
            ("--single_date", "2024-05-01", "--tfrom", "0800", "--tuntil", "0930"),
            ("2024-05-01", "2024-05-01", "08:00", "09:30"),
        ),
    ],
)
def test_dates_and_times_have_short_and_long_flags(
    flags: tuple[str, ...], expected: tuple[str | None, ...]
) -> None:
    # When
    requested = criteria("-ct", *flags)
    # Then
    names = ("date_from", "date_until", "time_from", "time_until")
    assert tuple(requested[name] for name in names) == expected


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (("-e", "knee,hip"), "exclude_descriptions"),
        (("--desc_exclude", "knee,hip"), "exclude_descriptions"),
        (("-i", "knee,hip"), "keep_descriptions"),
        (("--desc_include", "knee,hip"), "keep_descriptions"),
        (("-sne", "knee,hip"), "exclude_stations"),
        (("--stationname_exclude", "knee,hip"), "exclude_stations"),
        (("-sni", "knee,hip"), "keep_stations"),
        (("--stationname_include", "knee,hip"), "keep_stations"),
    ],
)
def test_terms_are_separated_by_commas(flags: tuple[str, ...], name: str) -> None:
    # When / Then
    assert criteria("-ct", *flags)[name] == ["knee", "hip"]


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("--stationname_study_level", "station_at_study_level", True),
        ("-toshiba", "toshiba", True),
        ("-dup", "ignore_known", False),
        ("-emptysr", "empty_sr", True),
    ],
)
def test_options_are_flags(flag: str, name: str, value: bool) -> None:
    # When / Then
    assert criteria("-ct", flag)[name] is value


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-ct", "1"),
        ("-ct", "1", "2", "3"),
        ("-xy", "1", "2"),
        ("--dfr", "2024-05-01", "-ct", "1", "2"),
        ("-ct", "-f", "1", "2"),
    ],
)
def test_arguments_that_do_not_fit_are_wrong_usage(arguments: tuple[str, ...]) -> None:
    # When / Then
    with pytest.raises(CommandError) as refused:
        parser().parse_args(list(arguments))
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("-ct", "-f", "01/05/2024"),
        ("-ct", "-f", "2024-02-30"),
        *(("-ct", flag, blank) for flag in ("-f", "-t", "-sd", "-tf", "-tt") for blank in ("", " ")),
        ("-ct", "-tf", "0800"),
        ("-ct", "-f", "2024-05-03", "-t", "2024-05-01"),
        ("-ct", "-sd", "2024-05-01", "-tf", "0930", "-tt", "0800"),
    ],
)
def test_malformed_values_name_their_field(flags: tuple[str, ...]) -> None:
    # When / Then
    with pytest.raises(InvalidInputError) as refused:
        criteria(*flags)
    assert refused.value.field


def test_a_single_date_goes_with_no_other_date() -> None:
    # When / Then
    with pytest.raises(CommandError, match="-sd cannot"):
        criteria("-ct", "-sd", "2024-05-01", "-f", "2024-05-01")
