"""Control requests show whether a node heeds the keys of a window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.query.search.key_controls import KeyControls, compare_codes, doubted, windows_without
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import OTHER_CODES, FindResult, StudyMatch
from shared.querying.profile import Profile
from shared.querying.slices import Slice
from tests.unit.query.search.model_node import CODES, DATES, RETURNED, ModelNode, Notebook, study, uids

FIRST, LAST = dt.date(2024, 3, 4), dt.date(2024, 3, 8)
MIDDLE = dt.date(2024, 3, 6)
WINDOW = Slice(FIRST, LAST, code="CT")

CT = [study(1, FIRST, "CT", "SR"), study(2, LAST, "CT")]
MR = study(3, LAST, "MR")
OLD = study(4, FIRST, "SR", "CT")


def controls(
    node: Callable[[Slice], FindResult[StudyMatch]],
    notebook: Notebook,
    window: Slice = WINDOW,
    *,
    on_a_day: bool = False,
) -> KeyControls:
    return KeyControls(window, node, notebook, notebook, notebook, on_a_day=on_a_day)  # type: ignore[arg-type]


def searched(node: ModelNode, notebook: Notebook, window: Slice = WINDOW) -> bool:
    """Search a window; return whether one of its keys hides studies."""
    result = node(window)
    node.requests.clear()
    return controls(node, notebook, window).hide_studies(result)


@pytest.mark.parametrize("codes", ["first", "whole", "none"])
def test_a_code_that_hides_a_study_is_left_out_from_then_on(codes):
    # Given
    node, notebook = ModelNode([*CT, OLD, MR], codes=codes), Notebook()
    # When
    hides = searched(node, notebook)
    # Then
    assert hides
    assert (notebook.profile.modalities_matched, notebook.profile.codes_hide) == (False, True)
    assert windows_without(WINDOW, notebook.profile) == [Slice(FIRST, LAST)]


def test_codes_are_matched_that_find_a_study_by_each_of_its_own():
    # Given
    node, notebook = ModelNode([*CT, MR]), Notebook()
    # When
    hides = searched(node, notebook)
    # Then
    assert not hides
    assert notebook.profile.modalities_matched is True
    assert [request.code for request in node.requests] == [None, "SR"]


def test_a_code_that_leaves_out_others_is_not_trusted_with_studies_of_several():
    # Given: nothing shows how a study of several codes is matched
    node, notebook = ModelNode([CT[1], MR], codes="first"), Notebook()
    # When
    hides = searched(node, notebook)
    # Then
    assert not hides
    assert notebook.profile.modalities_matched is None


def test_a_study_that_its_second_code_does_not_find_shows_that_codes_hide():
    # Given: no study of the window is hidden by CT, but one is by SR
    node, notebook = ModelNode([*CT, MR], codes="first"), Notebook()
    # When
    hides = searched(node, notebook)
    # Then
    assert hides
    assert notebook.profile.codes_hide


def test_a_study_that_comes_between_two_requests_is_not_hidden():
    # Given
    node, notebook = ModelNode([*CT, OLD]), Notebook()
    # When
    hides = controls(node, notebook).hide_studies(FindResult(list(CT)))
    # Then
    assert not hides
    assert notebook.profile.modalities_matched is not False


@pytest.mark.parametrize(("codes", "matched"), [("any", True), ("first", False)])
def test_codes_are_compared_on_a_day_where_the_window_is_too_much_without(codes, matched):
    # Given
    node, notebook = ModelNode([*CT, study(5, FIRST, "MR")], codes=codes), Notebook()

    def find(window: Slice) -> FindResult[StudyMatch]:
        if window.code is None and window.days != 1:
            return FindResult(error=PeerError(Outcome.TIMED_OUT, ""))
        return node(window)

    # When
    key_controls = controls(find, notebook)
    hides = key_controls.hide_studies(node(WINDOW))
    # Then
    assert hides is not matched
    assert notebook.profile.modalities_matched is matched
    assert "codes" not in key_controls.unproven()


@pytest.mark.parametrize(
    ("codes", "hides", "matched", "windows"),
    [
        # A day on which a study has several codes shows it; else the whole window has to.
        ("any", False, True, [Slice(FIRST, FIRST), Slice(FIRST, FIRST, code="SR")]),
        ("last", True, False, [Slice(LAST, LAST), Slice(FIRST, LAST), WINDOW]),
    ],
)
def test_one_day_is_compared_first_where_matches_are_costly(codes, hides, matched, windows):
    # Given: the day with the fewest studies of the code that were found
    others = [study(6, LAST, "CT"), MR] if codes == "any" else []
    node, notebook = ModelNode([*CT, *others], codes=codes), Notebook()
    # When
    found = node(WINDOW)
    node.requests.clear()
    key_controls = controls(node, notebook, on_a_day=True)
    hidden = key_controls.hide_studies(found)
    # Then
    assert (hidden, notebook.profile.modalities_matched) == (hides, matched)
    assert node.requests[: len(windows)] == windows
    assert replace(key_controls.compared, code=None) == windows[0 if codes == "any" else 1]


@pytest.mark.parametrize(("codes", "matched"), [("any", True), ("ignored", False)])
def test_a_code_that_leaves_out_nothing_is_compared_with_none(codes, matched):
    # Given
    node, notebook = ModelNode(CT, codes=codes), Notebook()
    # When
    hides = searched(node, notebook)
    # Then
    assert not hides
    assert notebook.profile.modalities_matched is matched
    assert notebook.profile.codes_hide is None


def test_studies_without_codes_are_taken_where_a_code_finds_nothing():
    # Given
    node, notebook = ModelNode([study(9, LAST), MR]), Notebook()
    result: FindResult[StudyMatch] = FindResult()
    # When
    hides = controls(node, notebook, Slice(LAST, LAST, code="CT")).hide_studies(result)
    # Then
    assert (hides, uids(result.matches)) == (False, {"1.2.9"})
    assert notebook.profile.modalities_matched is None


@pytest.mark.parametrize("dates", DATES[1:])
def test_a_range_that_hides_a_day_is_searched_by_days(dates):
    # Given: no study lies at an end of the window, so that nothing of it is hidden, or all is
    held = [study(1, FIRST, "CT"), study(2, MIDDLE, "CT"), study(3, MIDDLE, "CT", time="000000")]
    notebook = Notebook(Profile(modalities_matched=True))
    window = replace(WINDOW, date_from=FIRST if dates == "first_day_only" else FIRST - dt.timedelta(days=1))
    # When
    hides = searched(ModelNode(held, dates=dates), notebook, window)
    # Then
    assert hides
    windows = windows_without(WINDOW, notebook.profile)
    assert windows is not None
    assert [day.date_from for day in windows] == [LAST - dt.timedelta(days=number) for number in range(5)]
    assert notebook.profile.window_days() == 1


def test_a_range_with_both_of_its_ends_needs_no_control():
    # Given
    node, notebook = ModelNode(CT), Notebook(Profile(modalities_matched=True))
    # When
    hides = searched(node, notebook)
    # Then
    assert not hides
    assert (notebook.profile.date_ranges, node.requests) == (True, [])


def test_a_range_is_proven_with_the_days_of_its_studies():
    # Given
    held = [study(1, FIRST, "CT"), study(2, MIDDLE, "CT")]
    node, notebook = ModelNode(held), Notebook(Profile(modalities_matched=True))
    # When
    searched(node, notebook)
    # Then
    assert notebook.profile.date_ranges
    assert node.requests == [Slice(FIRST, MIDDLE, code="CT")]


def test_studies_at_midnight_do_not_prove_the_last_day():
    # Given
    held = [study(1, FIRST, "CT"), study(2, LAST, "CT", time="000000"), study(3, MIDDLE, "CT")]
    node = ModelNode(held, dates="last_day_to_midnight")
    notebook = Notebook(Profile(modalities_matched=True))
    # When
    hides = searched(node, notebook)
    # Then
    assert hides


def test_no_control_is_sent_where_the_job_has_sent_enough():
    # Given
    node, notebook = ModelNode([OLD], codes="first"), Notebook(admits=False)
    control = controls(node, notebook)
    # When
    hides = control.hide_studies(FindResult())
    # Then
    assert (hides, node.requests) == (False, [])
    assert control.unproven() == ("codes", "ranges")


@pytest.mark.parametrize(("for_long_ago", "heeds"), [([], True), ([MR], False)])
def test_dates_outside_of_the_window_are_believed_of_a_node_that_matches_on_dates(for_long_ago, heeds):
    # Given: it returns another date than the one that it matches on
    shifted = study(5, LAST + dt.timedelta(days=1), "CT")
    notebook = Notebook()
    control = controls(lambda _window: FindResult(list(for_long_ago)), notebook)
    # Then
    assert control.heeds_dates([*CT, shifted]) is heeds
    assert notebook.profile.dates_matched is heeds


def test_a_window_without_strays_needs_no_request_for_another_day():
    # Given
    node, notebook = ModelNode(CT), Notebook()
    # When
    heeds = controls(node, notebook).heeds_dates(CT)
    # Then
    assert (heeds, node.requests, notebook.profile.dates_matched) == (False, [], None)


MORNING = Slice(MIDDLE, MIDDLE, dt.time(8), dt.time(12), code="CT")
EVENING = study(6, MIDDLE, "CT", time="18:05:00")


@pytest.mark.parametrize(
    ("others", "brought", "ignores"),
    [
        ([], [], False),
        ([study(7, MIDDLE, "CT", time="")], [], False),
        # It returns the same for an hour that has nothing to do with the window.
        ([EVENING], [EVENING, *CT], True),
        # It keeps another time than it returns.
        ([EVENING], [], False),
        ([EVENING, study(8, MIDDLE, "CT", time="190000")], [EVENING], False),
    ],
)
def test_hours_are_ignored_by_a_node_that_returns_the_same_for_others(others, brought, ignores):
    # Given
    requests: list[Slice] = []

    def node(window: Slice) -> FindResult[StudyMatch]:
        requests.append(window)
        return FindResult(list(brought))

    # When
    ignored = controls(node, Notebook(), MORNING).ignores_hours(others)
    # Then
    assert ignored is ignores
    assert all(window.study_time_key() == "180500-180559.999999" for window in requests)


def test_a_control_that_fails_shows_nothing():
    # Given
    notebook = Notebook()
    failed: FindResult[StudyMatch] = FindResult(error=PeerError(Outcome.ABORTED, "gone"))
    control = controls(lambda _window: failed, notebook)
    # When
    hides = control.hide_studies(FindResult(list(CT)))
    # Then
    assert not hides
    assert notebook.profile == Profile(date_ranges=True)
    assert control.unproven() == ("codes",)


_FIRST_DAY = dt.date(2024, 1, 1)
_WIDTH, _WINDOWS = 8, 12
DAY = dt.timedelta(days=1)
_CODES = st.sampled_from([("CT",), ("MR",), ("CT", "SR"), ("SR", "CT"), ("CT", "PT", "SR"), ("MG", "SR")])


@st.composite
def _archives(draw: st.DrawFn) -> list[StudyMatch]:
    days = draw(st.lists(st.integers(0, _WIDTH * _WINDOWS - 1), max_size=12))
    return [
        study(
            number,
            _FIRST_DAY + dt.timedelta(days=day),
            *draw(_CODES),
            time=draw(st.sampled_from(["1015", "000000", "2359"])),
        )
        for number, day in enumerate(days)
    ]


def _search_all(node: ModelNode, notebook: Notebook, *, on_a_day: bool) -> set[str]:
    """Return what a query of all windows takes: as a task does it, and again what was believed too early."""
    taken: set[str] = set()
    believed: list[tuple[Slice, set[str]]] = []
    last = _FIRST_DAY + dt.timedelta(days=_WIDTH * _WINDOWS - 1)
    waiting = [
        Slice(
            last - dt.timedelta(days=(number + 1) * _WIDTH - 1),
            last - dt.timedelta(days=number * _WIDTH),
            code="CT",
        )
        for number in range(_WINDOWS)
    ]
    while waiting:
        window = waiting.pop(0)
        assert window.date_from is not None
        instead = windows_without(window, notebook.profile)
        result = FindResult[StudyMatch]() if instead else node(window)
        control = controls(node, notebook, window, on_a_day=on_a_day)
        if instead or control.hide_studies(result):
            waiting = [*(windows_without(window, notebook.profile) or []), *waiting]
            continue
        if not result.matches and not notebook.profile.believes_empty(window.days or 0):
            middle = window.date_from + ((window.days or 0) // 2 - 1) * DAY
            waiting = [
                replace(window, date_from=middle + DAY),
                replace(window, date_until=middle),
                *waiting,
            ]
            continue
        taken |= uids(result.matches) | uids(control.beyond)
        believed.append((window, set(control.unproven())))
        if not waiting:
            hiding = notebook.profile.habits_that_hide()
            waiting = [window for window, habits in believed if habits & hiding]
            believed = []
    return taken


_HABITS = [
    *(("standard", codes, returned) for codes in CODES for returned in RETURNED),
    *((dates, "any", returned) for dates in DATES for returned in RETURNED),
]


@given(_archives(), st.sampled_from(_HABITS), st.booleans())
def test_no_habit_loses_a_study_however_late_it_shows(studies, habits, on_a_day):
    # Given: a node that was believed about empty windows before; none keeps one code and returns another
    dates, codes, returned = habits
    assume((codes, returned) != ("last", "first"))
    node, notebook = (
        ModelNode(studies, dates, codes, returned),
        Notebook(Profile(busiest=1.0, widest_days=61)),
    )
    # When
    taken = _search_all(node, notebook, on_a_day=on_a_day)
    # Then
    expected = {match.study_instance_uid for match in studies if "CT" in (match.modalities or ())}
    assert expected <= taken


def test_a_code_that_a_study_is_found_by_and_not_returned_with_is_doubted():
    # Given
    found = [*CT, study(5, LAST, "SR")]
    # Then
    assert doubted(WINDOW, found, matched=True)[:2] == CT
    assert doubted(WINDOW, found, matched=True)[2].modalities == ("SR", OTHER_CODES)
    assert doubted(WINDOW, found, matched=False) == found
    assert doubted(Slice(FIRST, LAST), found, matched=None) == found


def test_codes_of_a_list_are_compared_with_any_of_them():
    # When
    compared = compare_codes(Slice(code="MR\\MG"), CT[:1], [*CT, MR])
    # Then
    assert (compared.lost, compared.others) == ([MR], CT[1:])
