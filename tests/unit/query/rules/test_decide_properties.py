"""What holds of every study: nothing is lost, order does not matter, the rules end."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from services.query.rules.model import Decision
from shared.contract.criteria import CODES
from shared.dicom.query.matches import ObjectMatch
from tests.unit.query.profile.archive import (
    BASIC,
    CAPTURE,
    CT_IMAGE,
    ESR,
    NM_IMAGE,
    PATIENT_DOSE,
    PET_IMAGE,
    RDSR,
    RRDSR,
    Archive,
    Series,
    criteria,
    images,
)

CLASSES = [RDSR, RRDSR, ESR, BASIC, PATIENT_DOSE, NM_IMAGE, PET_IMAGE, CAPTURE, CT_IMAGE, None]
MODALITIES = ["SR", "SR", "CT", "MG", "DX", "CR", "RF", "XA", "NM", "PT", "PR", "OT", None]
OPTIONS = ("ignore_known", "empty_sr", "toshiba")


@st.composite
def one_series(draw: st.DrawFn, uid: str) -> Series:
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=6))
    numbers = draw(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=6, max_size=6))
    return Series(
        uid=uid,
        modality=draw(st.sampled_from(MODALITIES)),
        objects=tuple(ObjectMatch(f"{uid}/{n}", sop, numbers[n]) for n, sop in enumerate(classes)),
        description=draw(st.sampled_from([None, "", "Dose Info", "thorax"])),
        station=draw(st.sampled_from([None, "", "room a", "room b"])),
        counted=draw(st.booleans()),
        silent=draw(st.booleans()),
    )


@st.composite
def archives(draw: st.DrawFn) -> Archive:
    series = tuple(draw(one_series(f"s{number}")) for number in range(draw(st.integers(1, 5))))
    uids = [item.sop_instance_uid for entry in series for item in entry.objects]
    return Archive(
        series,
        modalities=draw(st.sampled_from(["right", None, frozenset[str]()])),
        description=draw(st.sampled_from([None, "abdomen", "head"])),
        known=draw(st.lists(st.sampled_from(uids), unique=True)),
    )


types = st.lists(st.sampled_from(list(CODES)), min_size=1, unique=True)
options = st.fixed_dictionaries({name: st.booleans() for name in OPTIONS}).flatmap(
    lambda flags: st.sampled_from(
        [flags, flags | {"exclude_stations": "room a"}, flags | {"keep_descriptions": "head"}]
    )
)


def fresh(archive: Archive, **changes: object) -> Archive:
    return replace(archive, series_requested=False, images_requested=[], **changes)  # type: ignore[arg-type]


@given(archives(), types, options)
def test_the_rules_end_and_give_each_series_a_reason(archive, wanted, flags):
    # When
    decision = archive.examine(criteria(*wanted, **flags))
    # Then: `examine` bounds the rounds, `kept` checks that the parts agree with the whole
    archive.kept(decision)
    if archive.series_requested:
        assert {entry.series_instance_uid for entry in decision.series} == {
            entry.uid for entry in archive.series
        }
    assert (decision.decision is Decision.KEEP) <= (decision.type is not None)


@given(archives(), types, options, st.randoms(use_true_random=False))
def test_the_order_of_matches_does_not_matter(archive, wanted, flags, chance: random.Random):
    # Given
    first = archive.examine(criteria(*wanted, **flags))
    # When
    second = fresh(archive, shuffle=chance).examine(criteria(*reversed(wanted), **flags))
    # Then
    assert second == first


@given(archives(), types, options)
def test_deciding_twice_is_the_same(archive, wanted, flags):
    assert archive.examine(criteria(*wanted, **flags)) == fresh(archive).examine(criteria(*wanted, **flags))


@given(archives(), types, types, options)
def test_more_types_never_keep_less(archive, some, others, flags):
    # Given
    more = list(dict.fromkeys(some + others))
    # When
    few = archive.kept(archive.examine(criteria(*some, **flags)))
    many = archive.kept(fresh(archive).examine(criteria(*more, **flags)))
    # Then
    assert few <= many


@given(archives(), types, options, st.sampled_from(["PR", "KO", "US", "OT", "MR"]))
def test_an_unrelated_series_loses_nothing(archive, wanted, flags, modality):
    # Given
    wanted = [name for name in wanted if name != "SR"] or ["CT"]
    bigger = fresh(archive, series=(*archive.series, images("more", modality, 2, description=None)))
    # When
    before = archive.kept(archive.examine(criteria(*wanted, **flags)))
    after = bigger.kept(bigger.examine(criteria(*wanted, **flags)))
    # Then
    assert after == before


@given(archives(), types, options)
def test_a_pacs_that_returns_no_modalities_gives_the_same_result(archive, wanted, flags):
    # Given: with a series of no modality, ModalitiesInStudy of a PACS that does all else right lacks one
    assume(all(entry.modality for entry in archive.series))
    # When
    right = fresh(archive, modalities="right").examine(criteria(*wanted, **flags))
    silent = fresh(archive, modalities=None).examine(criteria(*wanted, **flags))
    # Then
    assert archive.kept(right) == archive.kept(silent)
    if right.decision is Decision.KEEP:
        assert right == silent


@given(archives(), types, options)
def test_what_is_known_is_what_is_kept_less(archive, wanted, flags):
    # Given
    wanted_all = criteria(*wanted, **flags | {"ignore_known": False})
    wanted_new = criteria(*wanted, **flags | {"ignore_known": True})
    named = {item.sop_instance_uid for entry in archive.series if not entry.silent for item in entry.objects}
    # When
    everything = archive.kept(archive.examine(wanted_all))
    new = archive.kept(fresh(archive).examine(wanted_new))
    # Then
    assert new == everything - (set(archive.known) & named)


@given(archives(), types, options)
def test_text_reports_are_never_kept(archive, wanted, flags):
    # Given
    texts = {
        item.sop_instance_uid
        for entry in archive.series
        for item in entry.objects
        if entry.modality == "SR" and not entry.silent and item.sop_class_uid not in {RDSR, RRDSR, ESR, None}
    }
    # When
    kept = archive.kept(archive.examine(criteria(*wanted, **flags)))
    # Then
    assert not kept & texts


@given(archives(), types, options)
def test_only_series_that_can_matter_are_requested_at_image_level(archive, wanted, flags):
    # When
    archive.examine(criteria(*wanted, **flags))
    # Then
    requested = {entry.modality for entry in archive.series if entry.uid in archive.images_requested}
    assert requested <= {"SR", None} | {code for name in wanted for code in CODES[name]}
