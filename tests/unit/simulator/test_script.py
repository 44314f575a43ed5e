"""A PACS in a TOML file, and its documentation."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path

import pytest

from simulator.behaviour import Behaviour, Fault
from simulator.content import RECIPES
from simulator.dicomweb.behaviour import WebBehaviour, WebFault
from simulator.generator.blueprints import KINDS
from simulator.main import DEMO
from simulator.script import ScriptError, make_archive, make_pacs, parse_script, read_script
from tests.support.peers import studies as factories

TODAY = dt.date(2024, 3, 5)
ROOT = Path(__file__).parents[3]
FIELDS = Behaviour.model_fields | Fault.model_fields | WebBehaviour.model_fields | WebFault.model_fields


def test_demo_describes_a_pacs_of_some_hundreds_of_studies_up_to_today():
    # When
    pacs = make_pacs(read_script(DEMO), folder=DEMO.parent, today=TODAY)
    studies = list(pacs.archive.studies())

    # Then
    assert len(studies) == len(pacs.archive) > 400
    assert max(study.date for study in studies if study.date) == TODAY
    assert {study.kind for study in studies} >= {"ct_rdsr", "mg_images", "dx_images", "xa_rdsr", "petct"}
    assert pacs.destinations == {"DOSEQR": ("127.0.0.1", 11112)}


def test_studies_are_described_by_kind_or_by_series():
    # Given
    script = parse_script(
        {
            "studies": [
                {"kind": "ct_rdsr", "date": "today-3", "description": "Mine", "repeat": 2},
                {
                    "date": dt.date(2024, 1, 2),
                    "series": [{"content": "ct_image", "instances": 4, "first_number": 3}],
                },
            ]
        }
    )

    # When
    studies = list(make_archive(script, TODAY, ROOT).studies())

    # Then
    assert [(study.date, study.kind) for study in studies] == [
        (dt.date(2024, 1, 2), ""),
        (dt.date(2024, 3, 2), "ct_rdsr"),
        (dt.date(2024, 3, 2), "ct_rdsr"),
    ]
    assert [instance.instance_number for instance in studies[0].series[0].instances] == [3, 4, 5, 6]
    assert {study.description for study in studies[1:]} == {"Mine"}


def test_destination_given_at_the_start_goes_before_the_script():
    script = parse_script({"destinations": {"STORE": "10.0.0.1:104"}})

    pacs = make_pacs(script, folder=ROOT, today=TODAY, destinations=[("STORE", ("127.0.0.1", 11112))])

    assert pacs.destinations == {"STORE": ("127.0.0.1", 11112)}


@pytest.mark.parametrize(
    ("described", "field"),
    [
        ({"pacs": {"ae_title": "A TITLE THAT IS TOO LONG"}}, "pacs.ae_title"),
        ({"pacs": {"port": 70000}}, "pacs.port"),
        ({"destinations": {"STORE": "nowhere"}}, "destinations.STORE"),
        ({"behaviour": {"capp": 3}}, "behaviour.capp"),
        ({"behaviour": {"faults": [{"operation": "find", "kind": "reject"}]}}, "behaviour.faults[0]"),
        ({"generated": {"studies": 3}}, "generated"),
        ({"studies": [{"kind": "ct"}]}, "studies[0].kind"),
        ({"studies": [{"kind": "mr", "date": "tomorrow"}]}, "studies[0].date"),
        ({"studies": [{"kind": "mr", "uid": "1.02.3"}]}, "studies[0].uid"),
        ({"studies": [{}]}, "studies[0]"),
        ({"studies": [{"series": [{"content": "xx"}]}]}, "studies[0].series[0].content"),
    ],
)
def test_wrong_field_is_named(described, field):
    with pytest.raises(ScriptError) as refusal:
        parse_script(described, "my.toml")

    assert str(refusal.value).startswith(f"my.toml: {field}: ")


@pytest.mark.parametrize("text", ["[pacs", "\x00"])
def test_file_that_is_no_toml_is_refused(tmp_path, text):
    path = tmp_path / "broken.toml"
    path.write_text(text)

    with pytest.raises(ScriptError, match=r"broken\.toml"):
        read_script(path)


def test_files_of_a_folder_become_studies(tmp_path):
    # Given
    from simulator.archive.model import objects_of
    from simulator.content import build

    study = factories.ct_study(images=2, description="Schädel")
    for match in objects_of(study):
        build(match).save_as(tmp_path / f"{match.uid}.dcm", enforce_file_format=True)
    (tmp_path / "note.txt").write_text("no DICOM")

    # When
    script = parse_script({"files": {"paths": ["."]}})
    [found] = make_archive(script, TODAY, tmp_path).studies()

    # Then
    assert (found.study_instance_uid, found.date, found.description) == (
        study.study_instance_uid,
        study.date,
        "Schädel",
    )
    assert factories.objects(found) == factories.objects(study)
    assert set(found.modalities_in_study) == {"CT", "SR"}


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(ScriptError, match="does not exist"):
        make_archive(parse_script({"files": {"paths": ["absent"]}}), TODAY, tmp_path)


def test_example_of_the_documentation_is_a_script():
    text = (ROOT / "docs/simulator.md").read_text(encoding="utf-8")
    example, web_example = (part.split("```", 1)[0] for part in text.split("```toml\n")[1:])

    script = parse_script(tomllib.loads(example + web_example))

    assert script.web is not None
    assert (script.web.port, script.web.behaviour.faults[0].headers) == (11180, {"Retry-After": "2"})
    assert (script.pacs.ae_title, len(script.studies), script.behaviour.cap) == ("MYPACS", 2, 100)


@pytest.mark.parametrize("name", [*FIELDS, *KINDS, *RECIPES])
def test_documentation_names_everything_that_can_be_written(name):
    assert f"`{name}`" in (ROOT / "docs/simulator.md").read_text(encoding="utf-8")


def test_every_trait_is_described_where_it_is_defined():
    assert not [name for name, field in FIELDS.items() if not field.description]
