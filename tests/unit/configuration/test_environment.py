"""Values from variables and from the files that they name."""

from __future__ import annotations

import pytest

from shared.configuration.environment import FILE_MAX_BYTES, read_variables, unknown_names

SETTINGS = ("amqp_password", "store_port")


def test_a_file_holds_the_value_of_a_setting(tmp_path):
    # Given
    file = tmp_path / "password"
    file.write_text(" p@ss/w#rd \n")
    # When
    given = read_variables(
        {"DOSEQR_AMQP_PASSWORD_FILE": str(file), "doseqr_store_port": "104"}, "DOSEQR_", SETTINGS
    )
    # Then
    assert given.values == {"amqp_password": " p@ss/w#rd ", "store_port": "104"}
    assert given.from_file("amqp_password")
    assert not given.from_file("store_port")
    assert not given.problems


def test_a_value_and_a_file_are_not_both_taken(tmp_path):
    # When
    given = read_variables(
        {"DOSEQR_STORE_PORT": "1", "DOSEQR_STORE_PORT_FILE": str(tmp_path / "port")}, "DOSEQR_", SETTINGS
    )
    # Then
    assert list(given.problems) == ["DOSEQR_STORE_PORT"]
    assert not given.values


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"\n", "is empty"),
        (b"\xff", "is no text in UTF-8"),
        (b"x" * (FILE_MAX_BYTES + 1), f"is longer than {FILE_MAX_BYTES} bytes"),
    ],
)
def test_a_file_that_holds_no_value_is_named(tmp_path, content, problem):
    # Given
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    # When
    given = read_variables({"DOSEQR_AMQP_PASSWORD_FILE": str(file)}, "DOSEQR_", SETTINGS)
    # Then
    assert given.problems == {"DOSEQR_AMQP_PASSWORD_FILE": f"{file}: {problem}"}


def test_variables_that_are_no_setting_are_found():
    # Given
    names = ("DOSEQR_STORE_PROT", "DOSEQR_STORE_PORT", "DOSEQR_STORE_PORT_FILE", "DOSEQR_TEST_X", "PATH")
    # Then
    assert unknown_names(names, "DOSEQR_", SETTINGS) == ["DOSEQR_STORE_PROT"]
