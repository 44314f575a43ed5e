"""When a result shows that a node does not match on codes, or can show that it takes a list of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from services.query.profile.learner import Learner
from services.query.search.merging import CodeListProof, of_several_codes, unmatched
from shared.clock import utc_now
from shared.dicom.peer import Peer
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.jobs.model import Claim
from shared.querying.payloads import WindowSlice, to_json
from shared.querying.profile import Profile
from shared.querying.slices import Slice
from tests.support.jobs.rows import a_query, a_study, a_task

WEEK = Slice(dt.date(2024, 3, 4), dt.date(2024, 3, 10))
UIDS = ("1.2.1", "1.2.2", "1.2.3")


def match(*modalities: str) -> StudyMatch:
    return StudyMatch("1.2.3", modalities or None)


def test_a_result_with_mostly_other_codes_was_not_matched():
    assert unmatched([match("MR"), match("US"), match("CR", "SR"), match("CT")], "CT")


def test_codes_that_are_not_returned_prove_nothing():
    assert not unmatched([match()] * 10, "CT")


def test_a_few_that_matched_by_a_part_of_their_code_prove_nothing():
    assert not unmatched([match("CT")] * 10 + [match("OCT")] * 4, "CT")


@pytest.fixture
def learned(sqlite_database):
    """Return what is learned where a window for PT finds the studies that the one for CT found first."""

    def learn(
        ct_window: WindowSlice, profile: Profile, found_by_bogus_code: int
    ) -> tuple[Profile, list[Slice]]:
        learner = Learner(sqlite_database, 1, Peer("127.0.0.1", 104, "PACS", "DOSEQR", 1), utc_now)
        learner.profile = profile
        with sqlite_database.write() as session:
            session.add(a_query())
            by_ct = a_task(state="done", payload=to_json(replace(ct_window, matches=len(UIDS))))
            by_pt = a_task(state="running", payload=to_json(WindowSlice(replace(WEEK, code="PT"))))
            waiting = [a_task(state="pending", payload=to_json(WindowSlice(WEEK))) for _ in range(2)]
            session.add_all([by_ct, by_pt, *waiting])
            session.flush()
            session.add_all(a_study(uid, found_by=by_ct.id) for uid in UIDS)
            claim = Claim("query-1", by_pt.id, "slice", {}, "token", 0, 0.0)
        requested: list[Slice] = []

        def find(window: Slice) -> FindResult[StudyMatch]:
            requested.append(window)
            return FindResult([StudyMatch(uid) for uid in UIDS[:found_by_bogus_code]])

        part = WindowSlice(replace(WEEK, code="PT"))
        proof = CodeListProof(sqlite_database, claim, part, learner, ["CT", "PT"])
        proof.learn([StudyMatch(uid) for uid in UIDS], find)
        return learner.profile, requested

    return learn


@pytest.mark.parametrize(
    ("found_by_bogus_code", "matched"), [(0, None), (3, False)], ids=["all are PET-CT", "codes are ignored"]
)
def test_codes_that_find_the_same_are_ignored_only_if_any_code_does(learned, found_by_bogus_code, matched):
    # When
    profile, requested = learned(WindowSlice(replace(WEEK, code="CT")), Profile(), found_by_bogus_code)
    # Then
    assert profile.modalities_matched is matched
    assert requested == [replace(WEEK, code="ZZ")]


@pytest.mark.parametrize(
    ("without_code", "profile"),
    [(True, Profile()), (False, Profile(modalities_matched=True))],
    ids=["the other found them without its code", "codes were proven"],
)
def test_the_same_studies_prove_nothing_and_nothing_is_requested(learned, without_code, profile):
    # When
    ct_window = WindowSlice(replace(WEEK, code="CT"), without_code=without_code)
    after, requested = learned(ct_window, profile, found_by_bogus_code=3)
    # Then
    assert after == profile
    assert requested == []


def test_codes_with_few_studies_prove_a_list_beside_one_with_too_many(sqlite_database):
    # Given
    learner = Learner(sqlite_database, 1, Peer("127.0.0.1", 104, "PACS", "DOSEQR", 1), utc_now)
    learner.profile = Profile(proven=3, proven_small=2)
    dx_uid, mg_uid = "1.2.4", "1.2.5"
    with sqlite_database.write() as session:
        session.add(a_query())
        by_ct = a_task(state="done", payload=to_json(WindowSlice(replace(WEEK, code="CT"), matches=3)))
        by_dx = a_task(state="done", payload=to_json(WindowSlice(replace(WEEK, code="DX"), matches=1)))
        by_mg = a_task(state="running", payload=to_json(WindowSlice(replace(WEEK, code="MG"))))
        waiting = [a_task(state="pending", payload=to_json(WindowSlice(WEEK))) for _ in range(2)]
        session.add_all([by_ct, by_dx, by_mg, *waiting])
        session.flush()
        session.add_all(a_study(uid, found_by=by_ct.id) for uid in UIDS)
        session.add(a_study(dx_uid, found_by=by_dx.id))
        claim = Claim("query-1", by_mg.id, "slice", {}, "token", 0, 0.0)
    proof = CodeListProof(
        sqlite_database, claim, WindowSlice(replace(WEEK, code="MG")), learner, ["CT", "DX", "MG"]
    )
    # When
    proof.learn([StudyMatch(mg_uid)], lambda _: FindResult([StudyMatch(uid) for uid in (dx_uid, mg_uid)]))
    # Then
    assert learner.profile.code_list == 3


@pytest.mark.parametrize(
    ("matches", "proving"),
    [
        ([match("CT", "SR"), match("MG"), match("MR")], 2),
        ([match("CT"), match("CT", "MG")], 0),
        ([match("MR"), match("US")], 0),
        ([match("CT"), match()], 0),
        ([], 0),
    ],
)
def test_studies_of_several_codes_can_prove_a_list(matches, proving):
    assert len(of_several_codes(matches, ["CT", "MG", "DX"])) == proving
