"""The OpenAPI document is valid, open to all, and says what the operations are."""

from __future__ import annotations

import warnings
from contextlib import nullcontext

import pytest
from jsonschema import Draft202012Validator

from services.web.api.blueprint import operations
from services.web.api.problems import PREFIX
from shared.contract.criteria import Criteria
from shared.contract.messages import RunQuery, RunRetrieve
from shared.errors import InvalidInputError
from shared.nodes.nodes import NodeInput, parse_node
from tests.support.services.web_api import DOCUMENT


def test_the_document_is_valid_openapi():
    with warnings.catch_warnings():
        # Its libraries warn of themselves while they are imported.
        warnings.simplefilter("ignore")
        from openapi_spec_validator import validate

        validate(DOCUMENT)


def test_the_document_is_served_to_everybody(site):
    # When
    response = site.app.test_client().get(f"{PREFIX}/openapi.json")
    # Then
    assert response.status_code == 200
    assert response.json == DOCUMENT


def test_bodies_have_the_fields_of_the_commands():
    # Given
    schemas = DOCUMENT["components"]["schemas"]
    # Then
    assert set(schemas["RunQueryBody"]["properties"]) == set(RunQuery.model_fields) - {"requested_by"}
    expected = set(RunRetrieve.model_fields) - {"requested_by", "query_id"}
    assert set(schemas["RunRetrieveBody"]["properties"]) == expected
    assert set(schemas["Criteria"]["properties"]) == set(Criteria.model_fields)
    assert schemas["RunQueryBody"]["properties"]["criteria"] == {"$ref": "#/components/schemas/Criteria"}
    assert set(schemas["NodeInput"]["properties"]) == set(NodeInput.model_fields)
    assert set(schemas["NodeChange"]["properties"]) == set(NodeInput.model_fields) - {"kind"}


def test_each_operation_names_its_scope():
    for operation in operations():
        described = DOCUMENT["paths"][PREFIX + operation.path][operation.method.lower()]
        assert described["security"] == ([{"token": [operation.scope]}] if operation.scope else [])
        assert described["summary"]
        assert ("401" in described["responses"]) == (operation.scope is not None)


DIMSE = {"host": "pacs", "port": 104, "ae_title": "PACS"}
WEB = {"protocol": "dicomweb", "web_url": "https://pacs/dicom-web"}


@pytest.mark.parametrize(
    ("attributes", "valid"),
    [
        (DIMSE, True),
        (DIMSE | {"protocol": "dimse"}, True),
        (WEB, True),
        (WEB | DIMSE, True),
        ({}, False),
        ({"protocol": "dimse"}, False),
        ({"host": "pacs", "port": 104}, False),
        ({"protocol": "dicomweb"}, False),
        (WEB | {"web_url": ""}, False),
    ],
)
def test_the_schema_requires_of_a_node_what_its_protocol_needs(attributes, valid):
    # Given
    node = {"kind": "remote", "name": "pacs", **attributes}
    schema = {"$ref": "#/components/schemas/NodeInput", "components": DOCUMENT["components"]}
    # When
    problems = list(Draft202012Validator(schema).iter_errors(node))
    # Then
    assert (not problems) is valid
    with nullcontext() if valid else pytest.raises(InvalidInputError):
        parse_node(node)
