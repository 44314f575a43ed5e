"""What a C-GET offers to take."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.sop_classes import (
    CONTEXTS_MOST,
    EVERY_CLASS,
    IMAGE_CLASSES,
    REPORT_CLASSES,
    classes_for,
    offers,
)

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
CT_IMAGE, RDSR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.67"
PRIVATE = "1.2.3.4"

MODALITIES = st.lists(
    st.sampled_from(["SR", "CT", "MG", "DX", "CR", "PX", "XA", "RF", "PT", "NM", "OT", None])
)
CLASSES = st.lists(st.from_regex(r"1\.2\.[1-9][0-9]{0,4}", fullmatch=True), unique=True, max_size=300)


@given(MODALITIES, CLASSES)
def test_offers_fit_one_association_and_bring_every_class_in_every_plain_form(modalities, named):
    # Given
    classes = classes_for(modalities, named)
    # When
    offered = offers(classes)
    # Then
    assert len(offered) <= CONTEXTS_MOST
    syntaxes: dict[str, set[str]] = defaultdict(set)
    for storage_class, group in offered:
        assert not syntaxes[storage_class] & set(group), "a transfer syntax is offered twice"
        syntaxes[storage_class] |= set(group)
    assert set(syntaxes) >= set(classes[:CONTEXTS_MOST])
    assert all({EXPLICIT, IMPLICIT} <= syntax for syntax in syntaxes.values())


@pytest.mark.parametrize("modality", ["SR", "CT", "MG", "DX", "NM", "PT", "RF"])
def test_where_one_modality_is_wanted_the_peer_need_not_convert_anything(modality):
    # Given
    wanted = classes_for([modality, "SR"])
    # When
    offered = offers(wanted)
    # Then
    assert all(
        (storage_class, (EXPLICIT,)) in offered and (storage_class, (IMPLICIT,)) in offered
        for storage_class in wanted
    )
    assert {storage_class for storage_class, _ in offered} == set(EVERY_CLASS)


def test_a_modality_that_is_not_known_may_be_anything():
    assert set(classes_for([None])) == set(EVERY_CLASS) == {*REPORT_CLASSES, *IMAGE_CLASSES}


def test_plain_and_compressed_are_parted_even_where_everything_is_wanted():
    # When
    forms = [group for storage_class, group in offers(classes_for([None])) if storage_class == CT_IMAGE]
    # Then
    assert [group for group in forms if EXPLICIT in group] == [(EXPLICIT, IMPLICIT)]
    assert len(forms) == 2


def test_classes_that_were_named_are_wanted_and_no_others():
    assert classes_for([], [RDSR, PRIVATE]) == (PRIVATE, RDSR)


def test_nothing_wanted_offers_nothing():
    assert offers(classes_for([])) == []
