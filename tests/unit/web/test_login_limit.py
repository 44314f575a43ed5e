"""Limits of log-ins by account and by address, counted before the check."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from services.web.login_limit import (
    CHECKS_AT_ONCE,
    CHECKS_WAITING,
    FIRST_PAUSE_S,
    FORGET_S,
    FREE_FAILURES,
    LONGEST_PAUSE_S,
    REMEMBERED,
    LoginLimit,
    PauseRequiredError,
    network_of,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> LoginLimit:
    return LoginLimit(clock)


def fail(limit: LoginLimit, account: str, address: str, times: int = 1) -> None:
    for _ in range(times):
        with limit.attempt(account, address):
            pass


def succeed(limit: LoginLimit, account: str, address: str) -> None:
    with limit.attempt(account, address) as succeeded:
        succeeded()


def pause_of(limit: LoginLimit, account: str, address: str) -> float:
    try:
        fail(limit, account, address)
    except PauseRequiredError as error:
        return error.pause_s
    return 0.0


def test_an_account_pauses_after_failures_from_many_addresses(limit):
    # When
    for number in range(FREE_FAILURES):
        fail(limit, "ada", f"10.0.0.{number}")
    # Then: also in other letters
    assert pause_of(limit, " ADA", "10.0.1.1") == FIRST_PAUSE_S
    assert pause_of(limit, "bob", "10.0.1.1") == 0


def test_an_address_pauses_after_failures_with_many_accounts(limit):
    # When
    for number in range(FREE_FAILURES):
        fail(limit, f"user {number}", "10.0.0.1")
    # Then
    assert pause_of(limit, "ada", "10.0.0.1") == FIRST_PAUSE_S
    assert pause_of(limit, "ada", "10.0.0.2") == 0


def test_pauses_grow_up_to_the_longest(limit, clock):
    # Given
    fail(limit, "ada", "10.0.0.1", FREE_FAILURES)
    pauses = []
    # When
    for _ in range(8):
        pauses.append(pause_of(limit, "ada", "10.0.0.1"))
        clock.now += pauses[-1]
        fail(limit, "ada", "10.0.0.1")
    # Then
    assert pauses == [30, 60, 120, 240, 480, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_an_hour_without_a_failure_forgets(limit, clock):
    # Given
    fail(limit, "ada", "10.0.0.1", FREE_FAILURES)
    # When
    clock.now += FORGET_S + 1
    # Then
    fail(limit, "ada", "10.0.0.1", FREE_FAILURES)


def test_guessing_from_elsewhere_does_not_lock_the_owner_out(limit):
    # Given
    succeed(limit, "ada", "10.0.0.1")
    # When
    for number in range(FREE_FAILURES):
        fail(limit, "ada", f"10.9.9.{number}")
    # Then
    assert pause_of(limit, "ada", "10.9.9.99") > 0
    assert pause_of(limit, "ada", "10.0.0.1") == 0


def test_a_right_password_does_not_pay_for_guessing_other_accounts(limit):
    # Given
    fail(limit, "ada", "10.0.0.1", FREE_FAILURES - 1)
    # When
    succeed(limit, "mallory", "10.0.0.1")
    fail(limit, "bob", "10.0.0.1")
    # Then
    assert pause_of(limit, "eve", "10.0.0.1") == FIRST_PAUSE_S


def test_right_passwords_are_not_limited(limit):
    for _ in range(5 * FREE_FAILURES):
        succeed(limit, "ada", "10.0.0.1")


def test_parallel_attempts_are_counted_before_their_check(limit):
    # Given: attempts that all begin before one has ended
    together, checked, refused = threading.Barrier(40), [], []

    def attempt() -> None:
        together.wait()
        try:
            with limit.attempt("ada", "10.0.0.1"):
                checked.append(1)
        except PauseRequiredError:
            refused.append(1)

    # When
    in_parallel(attempt, 40)
    # Then
    assert len(checked) <= FREE_FAILURES
    assert len(checked) + len(refused) == 40


def test_few_passwords_are_checked_at_once(limit):
    # Given
    release, lock = threading.Event(), threading.Lock()
    checking, most, refused = 0, 0, 0
    number = CHECKS_AT_ONCE + CHECKS_WAITING + 5

    def attempt(account: int) -> None:
        nonlocal checking, most, refused
        try:
            with limit.attempt(f"user {account}", f"10.0.0.{account}"):
                with lock:
                    checking += 1
                    most = max(most, checking)
                release.wait(10)
                with lock:
                    checking -= 1
        except PauseRequiredError:
            with lock:
                refused += 1
                if refused >= 3:
                    release.set()

    # When
    threads = [threading.Thread(target=attempt, args=(account,)) for account in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then
    assert most == CHECKS_AT_ONCE
    assert refused >= 3


def in_parallel(target: Callable[[], None], number: int) -> None:
    threads = [threading.Thread(target=target) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_is_remembered_is_bounded(limit):
    # When
    for number in range(REMEMBERED + 10):
        fail(limit, f"user {number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    # Then
    assert len(limit._failures) <= REMEMBERED


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address, network):
    assert network_of(address) == network
