"""What holds of a whole query over any archive: the truth of the blueprints, in any order and company."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from simulator.archive.model import Study
from simulator.generator.blueprints import KINDS, make_study
from tests.support.jobs.ward import TYPES, Desk, check_against_truth, judged_of, kept_of

#: The report of an example names the desk, which is long.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

DAY = dt.date(2024, 3, 5)
FEW = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    # To shrink an archive means many more queries; the example as found is small enough to be read.
    phases=(Phase.explicit, Phase.generate),
)


@pytest.fixture(scope="module")
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


Plan = list[tuple[str, int, int]]

#: Studies by kind, minute of the day and chance.
plans = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 24 * 60 - 1), st.integers(0, 99)),
    min_size=1,
    max_size=8,
)


def made_of(plan: Plan) -> list[Study]:
    return [
        make_study(
            KINDS[name], f"2.25.8{place:06d}", DAY, dt.time(*divmod(minute, 60)), random.Random(chance)
        )
        for place, (name, minute, chance) in enumerate(plan)
    ]


types = st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)
options = st.fixed_dictionaries({"include_sr_only": st.booleans()})


def criteria_of(wanted: list[str], flags: dict[str, bool]) -> dict[str, Any]:
    return {"types": wanted, "date_from": str(DAY), "date_until": str(DAY), **flags}


def kept_in(query: dict[str, Any], studies: list[Study]) -> set[str]:
    judged = judged_of(query)
    return {
        uid
        for study in studies
        if study.study_instance_uid in judged
        for uid in kept_of(judged[study.study_instance_uid], study)
    }


@FEW
@given(plan=plans, wanted=types, flags=options)
def test_any_archive_leads_to_its_truth_and_the_order_of_matches_does_not_matter(desk, plan, wanted, flags):
    # Given
    studies, criteria = made_of(plan), criteria_of(wanted, flags)
    # When
    straight = desk.run_query({}, archive=studies, criteria=criteria)
    turned = desk.run_query({"descending": True, "duplicate_every": 2}, archive=studies, criteria=criteria)
    # Then
    assert (straight["status"], turned["status"]) == ("completed", "completed")
    assert check_against_truth(straight, studies, criteria=criteria) == set()
    assert check_against_truth(turned, studies, judged_of(straight), criteria) == set()


@FEW
@given(plan=plans, wanted=types, other=types)
def test_more_types_keep_all_that_fewer_keep_and_no_more_than_each(desk, plan, wanted, other):
    # Given
    studies = made_of(plan)
    name = desk.open(studies)
    # When
    first, second, both = (
        kept_in(desk.query(name, criteria_of(criteria, {})), studies)
        for criteria in (wanted, other, list(dict.fromkeys(wanted + other)))
    )
    desk.pacs[-1].stop()
    # Then
    assert both == first | second
