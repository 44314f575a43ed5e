"""Associations of the scripted PACS: whom it rejects, how, and what it counts."""

from __future__ import annotations

import contextlib
import ssl
import subprocess

import pytest

from simulator.behaviour import REJECTIONS
from tests.support.peers import studies as factories
from tests.support.peers.query_retrieve_scu import FIND, VERIFICATION, Scu


def rejection(scu: Scu) -> tuple[int | None, int | None, int | None] | None:
    """Return result, source and reason of the A-ASSOCIATE-RJ that an association got."""
    response = scu.assoc.acceptor.primitive
    if not scu.assoc.is_rejected or response is None:
        return None
    return response.result, response.result_source, response.diagnostic


@pytest.mark.parametrize("name", REJECTIONS)
def test_every_association_is_rejected_with_the_configured_reason(scripted_pacs, name):
    pacs = scripted_pacs(reject_associations=name)

    with Scu(pacs) as scu:
        assert rejection(scu) == REJECTIONS[name]
    assert (pacs.witness.associations, pacs.witness.associations_rejected) == (0, 1)


def test_unknown_caller_is_rejected(scripted_pacs):
    pacs = scripted_pacs(calling_ae_titles={"FRIEND"})

    with Scu(pacs, ae_title="STRANGER") as stranger, Scu(pacs, ae_title="FRIEND") as friend:
        assert rejection(stranger) == (1, 1, 3)
        assert friend.assoc.is_established


def test_wrong_called_title_is_rejected(scripted_pacs):
    pacs = scripted_pacs(require_called_ae_title=True)
    with Scu(pacs) as scu:
        assert scu.assoc.is_established

    with Scu(pacs, called_ae_title="SOMEONE") as scu:
        assert rejection(scu) == (1, 1, 7)


@pytest.mark.parametrize("name", ["local_limit_exceeded", "temporary_congestion"])
def test_associations_beyond_the_limit_are_rejected_until_one_ends(scripted_pacs, name):
    # Given
    pacs = scripted_pacs(maximum_associations=2, limit_rejection=name)

    # When
    with Scu(pacs):
        with Scu(pacs), Scu(pacs) as third:
            assert rejection(third) == REJECTIONS[name]
        with Scu(pacs) as fourth:
            # Then
            assert fourth.assoc.is_established
    assert (pacs.witness.associations_most, pacs.witness.associations_rejected) == (2, 1)


def test_limit_holds_for_each_calling_title(scripted_pacs):
    pacs = scripted_pacs(maximum_associations_per_ae_title=1)

    with Scu(pacs, ae_title="ONE"), Scu(pacs, ae_title="ONE") as second, Scu(pacs, ae_title="TWO") as other:
        assert second.assoc.is_rejected
        assert other.assoc.is_established


def test_associations_one_after_the_other_are_never_two_at_once(scripted_pacs):
    pacs = scripted_pacs(maximum_associations=1)

    for _ in range(20):
        with Scu(pacs) as scu:
            assert scu.assoc.is_established
    assert pacs.witness.associations_most == 1


@pytest.mark.parametrize("kind", ["abort", "close", "reject"])
def test_one_association_fails_and_the_next_succeeds(scripted_pacs, kind):
    pacs = scripted_pacs()
    pacs.add_fault(operation="associate", kind=kind)

    established = []
    for _ in range(2):
        with Scu(pacs) as scu:
            established.append(scu.assoc.is_established)
    assert established == [False, True]
    assert pacs.witness.associations_open == 0


def test_association_without_response_times_out(scripted_pacs):
    pacs = scripted_pacs()
    pacs.add_fault(operation="associate", kind="never_answer")

    with Scu(pacs, timeout_s=0.3) as scu:
        assert not scu.assoc.is_established
        assert not scu.assoc.is_rejected


def test_idle_association_is_aborted(scripted_pacs):
    pacs = scripted_pacs(idle_timeout_s=0.2)

    with Scu(pacs) as scu:
        scu.assoc.join(10)
        assert scu.assoc.is_aborted


def test_services_that_are_not_offered_are_not_negotiated(scripted_pacs):
    pacs = scripted_pacs(services={"echo", "find"})

    with Scu(pacs) as scu:
        accepted = {str(context.abstract_syntax) for context in scu.assoc.accepted_contexts}
    assert accepted == {VERIFICATION, FIND}


def test_stop_ends_what_is_connected(scripted_pacs):
    pacs = scripted_pacs()

    with Scu(pacs) as scu:
        pacs.stop()
        scu.assoc.join(10)
        assert not scu.assoc.is_established
    assert pacs.witness.associations_open == 0


def test_pacs_can_be_reached_over_tls(scripted_pacs, tmp_path):
    # Given
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subjects = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(
            [*command, *subjects, "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
    if not certificate.exists():
        pytest.skip("openssl is not installed")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=certificate)

    # When
    pacs = scripted_pacs([factories.ct_study() for _ in range(50)], ssl_context=server)
    with Scu(pacs, ssl_context=client) as scu:
        found, final = scu.find("STUDY", StudyInstanceUID=None)

    # Then
    assert (len(found), final) == (50, 0)
