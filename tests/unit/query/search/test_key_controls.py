"""Control requests show whether a node heeds the keys of a window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from services.query.search.key_controls import KeyControls, compare_codes, doubted, windows_without
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import OTHER_CODES, FindResult, StudyMatch
from shared.querying.profile import Profile
from shared.querying.slices import Slice

FIRST, LAST = dt.date(2024, 3, 4), dt.date(2024, 3, 6)
WINDOW = Slice(FIRST, LAST, code="CT")
A_DAY = Slice(LAST, LAST, code="CT")


@dataclass
class Notebook:
    """Stands for the learner of a task and the limit of its job."""

    profile: Profile = field(default_factory=Profile)
    admits: bool = True

    def learn(self, lesson: Callable[[Profile], Profile]) -> None:
        self.profile = lesson(self.profile)

    def admits_control(self, *, has_studies: bool) -> bool:
        return self.admits or has_studies


def study(number: int, day: dt.date, *modalities: str) -> StudyMatch:
    return StudyMatch(
        f"1.2.{number}", modalities=modalities or None, study_date=day.strftime("%Y%m%d"), study_time="1015"
    )


CT = [study(1, FIRST, "CT", "SR"), study(2, LAST, "CT")]
MR = study(3, LAST, "MR")
OLD = study(4, FIRST, "SR", "CT")


class Node:
    """Finds what a test has for the key of a request: its code, and its dates if they are a single day."""

    def __init__(
        self, found: dict[str | None, list[StudyMatch]], days: dict[dt.date, list[StudyMatch]]
    ) -> None:
        self.found, self.days = found, days
        self.requests: list[Slice] = []

    def __call__(self, window: Slice) -> FindResult[StudyMatch]:
        self.requests.append(window)
        if window.days == 1 and window.date_from in self.days and window.code is not None:
            return FindResult(list(self.days[window.date_from]))
        return FindResult(list(self.found.get(window.code, [])))


def controls(node: Node, notebook: Notebook, window: Slice = WINDOW) -> KeyControls:
    return KeyControls(window, node, notebook, notebook)  # type: ignore[arg-type]


def test_a_code_that_hides_a_study_is_left_out_from_then_on():
    # Given
    node, notebook = Node({"CT": CT, None: [*CT, OLD, MR]}, {}), Notebook()
    # When
    hides = controls(node, notebook).hide_studies(FindResult(list(CT)))
    # Then
    assert hides
    assert notebook.profile.modalities_matched is False
    assert windows_without(WINDOW, notebook.profile) == [Slice(FIRST, LAST)]


def test_a_code_is_matched_that_leaves_out_others_alone():
    # Given
    node, notebook = Node({"CT": CT, None: [*CT, MR]}, {}), Notebook()
    # When
    hides = controls(node, notebook).hide_studies(FindResult(list(CT)))
    # Then
    assert not hides
    assert notebook.profile.modalities_matched is True


def test_a_study_that_comes_between_two_requests_is_not_hidden():
    # Given
    node, notebook = Node({"CT": [*CT, OLD], None: [*CT, OLD]}, {}), Notebook()
    # When
    hides = controls(node, notebook).hide_studies(FindResult(list(CT)))
    # Then
    assert not hides
    assert notebook.profile.modalities_matched is not False


@pytest.mark.parametrize(("for_no_code", "matched"), [([], True), ([MR], False)])
def test_a_code_that_leaves_out_nothing_is_compared_with_none(for_no_code, matched):
    # Given
    found = [*CT, MR]
    node, notebook = Node({"CT": found, None: found, "ZZ": for_no_code}, {}), Notebook()
    # When
    hides = controls(node, notebook).hide_studies(FindResult(list(found)))
    # Then
    assert not hides
    assert notebook.profile.modalities_matched is matched


def test_studies_without_codes_are_taken_where_a_code_finds_nothing():
    # Given
    blank = StudyMatch("1.2.9", study_date="20240306")
    node, notebook = Node({None: [blank, MR]}, {}), Notebook()
    result: FindResult[StudyMatch] = FindResult()
    # When
    hides = controls(node, notebook, A_DAY).hide_studies(result)
    # Then
    assert (hides, result.matches) == (False, [blank])
    assert notebook.profile.modalities_matched is None


@pytest.mark.parametrize("hidden", [FIRST, LAST])
def test_a_range_that_hides_its_end_is_searched_by_days(hidden):
    # Given
    shown = [match for match in CT if match.study_date != hidden.strftime("%Y%m%d")]
    days = {FIRST: CT[:1], LAST: CT[1:]}
    notebook = Notebook(Profile(modalities_matched=True))
    # When
    hides = controls(Node({"CT": shown}, days), notebook).hide_studies(FindResult(list(shown)))
    # Then
    assert hides
    windows = windows_without(WINDOW, notebook.profile)
    assert windows is not None
    assert [window.date_from for window in windows] == [LAST, FIRST + dt.timedelta(days=1), FIRST]
    assert notebook.profile.window_days() == 1


def test_a_range_with_both_of_its_ends_needs_no_control():
    # Given
    node, notebook = Node({"CT": CT}, {}), Notebook(Profile(modalities_matched=True))
    # When
    hides = controls(node, notebook).hide_studies(FindResult(list(CT)))
    # Then
    assert not hides
    assert (notebook.profile.date_ranges, node.requests) == (True, [])


def test_no_control_is_sent_where_the_job_has_sent_enough():
    # Given
    node, notebook = Node({"CT": [], None: [OLD]}, {}), Notebook(admits=False)
    # When
    hides = controls(node, notebook).hide_studies(FindResult())
    # Then
    assert (hides, node.requests) == (False, [])


def test_a_control_that_fails_shows_nothing():
    # Given
    notebook = Notebook()
    failed: FindResult[StudyMatch] = FindResult(error=PeerError(Outcome.ABORTED, "gone"))
    # When
    hides = KeyControls(WINDOW, lambda _window: failed, notebook, notebook).hide_studies(  # type: ignore[arg-type]
        FindResult(list(CT))
    )
    # Then
    assert not hides
    assert notebook.profile == Profile(date_ranges=True)


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
