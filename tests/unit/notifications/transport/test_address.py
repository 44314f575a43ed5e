"""Addresses name a service that is allowed, and nothing of them but its host is shown."""

from __future__ import annotations

import pytest

from shared.errors import InvalidInputError
from shared.notifications.transport.address import (
    KNOWN_SCHEMES,
    AddressPolicy,
    destination_of,
    host_is_allowed,
    is_forbidden,
    parse_address,
)

POLICY = AddressPolicy(
    frozenset({"mailto", "mailtos", "slack", "json", "jsons"}),
    mail_url="mailtos://robot:s3cret@mail.example.org?from=robot@example.org",
)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mailtos://me:pass@Mail.Example.org?to=you@example.org", "mailtos://mail.example.org/…"),
        ("json://127.0.0.1:8080/hook?+X-Token=abc", "json://127.0.0.1/…"),
        ("jsons://user:p%40ss@[fd00::1]:443/hook", "jsons://[fd00::1]/…"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", "slack://…"),
        ("me@example.org", "m…@example.org"),
        ("json://a:b@c:d@e/", "json://e/…"),
        ("json://pass word".replace(" ", "%20"), "json://…"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address, shown):
    # When
    target = parse_address(address, POLICY)
    # Then
    assert target.shown == shown
    assert repr(target) == f"Target({shown})"


def test_a_plain_e_mail_address_goes_by_the_mail_server():
    # When
    target = parse_address("me+x@example.org", POLICY)
    # Then
    assert target.url == f"{POLICY.mail_url}&to=me%2Bx@example.org"
    assert destination_of(target.shown) == "mail"


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("dbus://", "must be an e-mail address"),
        ("dbus://x", "dbus:// is not allowed"),
        ("syslog://localhost", "syslog:// is not allowed"),
        ("file:///etc/passwd", "file:// is not allowed"),
        ("slack://a/b/c?template=/etc/passwd", "parameter 'template'"),
        ("slack://a/b/c/#x?template=/etc/passwd", "parameter 'template'"),
        ("slack://a/b/c?to=x?TEMPLATE=/etc/passwd", "parameter 'template'"),
        ("slack://a/b/c?to=x;temp%6Cate=/etc/passwd", "parameter 'template'"),
        ("slack://a/b/c?:template=x", "parameter ':template'"),
        ("mailto://h?pgp=yes", "parameter 'pgp'"),
        ("json://h json://i", "no blanks"),
        ("json://h\nX: y", "no blanks"),
        ("me@example.org,you@example.org", "must be an e-mail address"),
        ("nobody", "must be an e-mail address"),
        ("", "1 to 1000 characters"),
    ],
)
def test_an_address_that_is_not_allowed_is_refused(address, problem):
    with pytest.raises(InvalidInputError) as refused:
        parse_address(address, POLICY)
    assert problem in refused.value.problem
    assert refused.value.field == "address"


def test_a_plain_address_needs_a_mail_server():
    with pytest.raises(InvalidInputError, match="DOSEQR_NOTIFICATION_MAIL_URL"):
        parse_address("me@example.org", AddressPolicy(POLICY.schemes))


def test_no_known_scheme_is_of_this_machine():
    assert not KNOWN_SCHEMES & {"dbus", "gnome", "glib", "kde", "syslog", "file", "exec", "macosx", "windows"}


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255"),
        *(
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ),
        *("2002:a9fe:a9fe::1", "mail.example.org", ""),
    ],
)
def test_nothing_goes_to_metadata_or_no_host_at_all(address):
    assert is_forbidden(address, local=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_itself_is_allowed_only_on_purpose(address):
    assert is_forbidden(address, local=False)
    assert not is_forbidden(address, local=True)


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.0.9", "172.16.0.1", "fd12:3456::1", "8.8.8.8"])
def test_networks_of_a_hospital_and_the_internet_are_allowed(address):
    assert not is_forbidden(address, local=False)


@pytest.mark.parametrize(
    ("host", "hosts", "allowed"),
    [
        ("mail.example.org", (), True),
        ("Mail.Example.org.", ("mail.example.org",), True),
        ("mail.example.org", (".example.org",), True),
        ("example.org", (".example.org",), False),
        ("evilexample.org", (".example.org",), False),
        ("10.0.0.1", ("mail.example.org",), False),
    ],
)
def test_a_list_of_hosts_has_names_and_domains(host, hosts, allowed):
    assert host_is_allowed(host, hosts) is allowed
