"""Names are the field's own: DICOM's and AMQP's words, nouns for modules and classes."""

from __future__ import annotations

import re

from tests.architecture.figures import empty_loops, gerund_modules, twin_classes, variables
from tests.architecture.source_tree import source_tree

#: Everyday words that once stood for a term of the field; the glossary has the term.
HOME_MADE = {
    "answer",
    "answered",
    "answers",
    "ask",
    "asked",
    "asker",
    "asking",
    "crew",
    "each",
    "facts",
    "hand",
    "hands",
    "heard",
    "link",
    "linked",
    "links",
    "look",
    "looked",
    "manners",
    "one",
    "said",
    "say",
    "seen",
    "taker",
    "tell",
    "teller",
    "tells",
    "told",
    "word",
    "words",
}

#: Messages, columns and JSON keys, which others rely on.
NAMES_OF_THE_CONTRACT = {
    "AskAgain",
    "SERIES_NOT_ANSWERED",
    "STUDY_NOT_ANSWERED",
    "WINDOW_NOT_ANSWERED",
    "answer",
    "answer_delay_s",
    "answered",
    "answers_per_s",
    "asked",
    "asked_again",
    "asked_at",
    "not_asked",
}

#: Functions whose word is the field's own.
FUNCTION_NAMES = {
    "_hand_over",  # the hand-over of the glossary
    "_words_match",  # words of a routing key (AMQP 0-9-1 3.1.3.3)
    "words_of",  # words of an identifier
}

#: Plain numbers and distributions in a clause: `read_one_job`, `move_one_by_one`.
PLAIN_IN_FUNCTIONS = {"each", "one"}

#: Plain English in the clause that names a test, and things of the field: a link of a page, a word of a key.
PLAIN_IN_CLAUSES = PLAIN_IN_FUNCTIONS | {"hand", "hands", "link", "linked", "links", "word", "words"}

#: Forms of home-made words that only clauses have.
CLAUSE_FORMS = {"answering", "asks", "looks", "saying", "says", "telling"}

#: Named by an activity, because the field names them so.
GERUND_MODULES = {
    "services/query/search/merging.py",
    "services/query/search/splitting.py",
    "services/store/handover/batching.py",
    "services/web/views/formatting.py",
}

#: Two things, one name: each is the plain word for what it is, and no module uses both.
TWINS = {
    "Connection",  # to a browser, to the broker's socket, to a DICOM peer
    "Findings",  # of a measured node, of a judged study
    "StoredObject",  # in an event, in a row
    "Turn",  # in the budget's protocol, in the database
}


def words_of(name: str) -> set[str]:
    return {
        word.lower()
        for part in name.split("_")
        for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", part)
    }


def test_no_module_or_class_is_named_by_a_home_made_word():
    wrong = [
        f"{module.path}: {name}"
        for module in source_tree().modules
        for name in [module.stem, *(node.name for node in module.classes())]
        if words_of(name) & HOME_MADE and name not in NAMES_OF_THE_CONTRACT
    ]
    assert wrong == []


def test_no_function_is_named_by_a_home_made_word():
    # Given
    trees = source_tree(), source_tree(packages=("tests",))

    # When
    wrong = [
        f"{module.path}: {function.name}"
        for tree in trees
        for module in tree.modules
        for function in module.functions()
        if words_of(function.name) & HOME_MADE - PLAIN_IN_FUNCTIONS
        and not function.name.startswith("test_")
        and function.name not in FUNCTION_NAMES
    ]

    # Then
    assert wrong == []


def test_no_test_is_named_by_a_home_made_word():
    wrong = [
        f"{module.path}: {function.name}"
        for module in source_tree(packages=("tests",)).modules
        for function in module.functions()
        if function.name.startswith("test_")
        and words_of(function.name) & (HOME_MADE - PLAIN_IN_CLAUSES | CLAUSE_FORMS)
        and module.path != "tests/architecture/test_names.py"
    ]
    assert wrong == []


def test_no_variable_is_named_by_a_home_made_word():
    # Given
    trees = source_tree(), source_tree(packages=("tests",))

    # When
    wrong = [
        f"{place}: {name}"
        for tree in trees
        for place, name in variables(tree)
        if (name in PLAIN_IN_FUNCTIONS or words_of(name) & HOME_MADE - PLAIN_IN_CLAUSES)
        and name not in NAMES_OF_THE_CONTRACT
    ]

    # Then
    assert wrong == []


def test_modules_are_named_by_nouns():
    assert set(gerund_modules(source_tree())) <= GERUND_MODULES


def test_a_class_name_means_one_thing():
    assert set(twin_classes(source_tree())) <= TWINS


def test_a_loop_names_what_it_goes_over():
    assert empty_loops(source_tree()) == []
    assert empty_loops(source_tree(packages=("tests",))) == []
