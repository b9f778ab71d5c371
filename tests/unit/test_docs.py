"""The reference page and the schema say what the code says, and the documents' links lead somewhere."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from finecal import registry
from finecal.cli.overview import describe_plan
from finecal.plan.plan import Plan

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "envs").glob("*.md")])


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_made_from_the_code(generate: ModuleType) -> None:
    assert (ROOT / "docs" / "reference.md").read_text("utf-8") == generate.reference()


def test_the_schema_is_made_from_the_code(generate: ModuleType) -> None:
    assert (ROOT / "docs" / "study.schema.json").read_text("utf-8") == generate.schema()


def test_what_studies_take_is_what_check_says(generate: ModuleType) -> None:
    page = (ROOT / "docs" / "datasets.md").read_text("utf-8")
    assert page == generate.datasets()
    (row,) = re.findall(r"^\| `uv run finecal check iwildcam` \| (.*) \|$", page, re.MULTILINE)
    number, hours, disk, downloads = row.split(" | ")
    said = describe_plan(Plan(["iwildcam"]))
    assert re.search(rf"total +{number}\n", said)
    assert f"About {hours} GPU-hours at 500 images per second (assumed" in said
    assert f"downloads of {downloads}." in said
    (exactly,) = re.findall(r"About ([\d.]+) GB of disk", said)
    assert disk == f"{float(exactly):.0f} GB"


def test_every_key_of_the_built_in_study_is_in_the_reference(generate: ModuleType) -> None:
    page = generate.reference()
    study = yaml.safe_load((ROOT / "workflow" / "studies" / "digits.yaml").read_text("utf-8"))
    for key in [*study, *study["training"], *study["pretraining"]]:
        assert f"| `{key}` |" in page


def test_every_key_has_a_meaning(generate: ModuleType) -> None:
    for line in generate.reference().splitlines():
        assert not re.search(r"\|\s*\|\s*$", line), line


def test_the_schema_is_a_json_schema(generate: ModuleType) -> None:
    schema = json.loads(generate.schema())
    assert schema["additionalProperties"] is False
    extending, complete = (set(one["required"]) for one in schema["anyOf"])
    assert extending == {"extends"}
    assert {"description", "datasets", "tasks", "recipes"} <= complete


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_recipe_is_explained_once() -> None:
    """The first column of the table in recipes.md."""
    page = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    header, *named = re.findall(r"^\| (\w+) \|", page, re.MULTILINE)
    assert header == "recipe"
    assert sorted(named) == list(registry.names("recipe"))
