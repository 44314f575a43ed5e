"""Sizes: modules with one reason to exist, short functions, folders that fit on a screen."""

from __future__ import annotations

import statistics
from collections import Counter

from tests.architecture.figures import (
    any_annotations,
    flat_folders,
    fragments,
    function_lines,
)
from tests.architecture.source_tree import source_tree

MODULE_LINES = 400
FOLDER_MODULES = 12
FUNCTION_LINES = 45

#: Longer, because a list of options or of settings cannot be cut without hiding it.
LONG_FUNCTIONS = {
    "services/cli/commands/jobs/query.py:retrieve": 49,
    "services/cli/commands/nodes.py:edit": 49,
    "services/store/scp/receiver_process.py:__init__": 55,
}

#: Modules under 75 lines with one importer that does not only compose, and yet read on their own.
FRAGMENTS = 8

#: Places where `Any` stands for a type.
ANY = 23


def test_a_module_has_one_reason_to_exist():
    wrong = {module.path: module.lines for module in source_tree().modules if module.lines > MODULE_LINES}
    assert wrong == {}


def test_functions_are_short():
    # Given
    tree = source_tree()

    # When
    long = {
        f"{module.path}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for module in tree.modules
        for function in module.functions()
    }
    wrong = {name: lines for name, lines in long.items() if lines > LONG_FUNCTIONS.get(name, FUNCTION_LINES)}

    # Then
    assert wrong == {}
    assert statistics.median(function_lines(tree)) <= 8


def test_a_folder_fits_on_a_screen():
    wrong = {folder: count for folder, count in flat_folders(source_tree()).items() if count > FOLDER_MODULES}
    assert wrong == {}


def test_a_folder_of_support_for_tests_fits_on_a_screen():
    tree = source_tree(packages=("tests/support",))
    assert max(flat_folders(tree).values()) <= FOLDER_MODULES


def test_fragments_that_are_read_with_their_only_importer_are_few():
    assert len(fragments(source_tree())) < FRAGMENTS


def test_types_are_rarely_any():
    places = any_annotations(source_tree())
    assert len(places) < ANY, Counter(place.split(":")[0] for place in places).most_common(10)
