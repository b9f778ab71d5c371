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


def test_each_deviation_links_the_lines_of_its_code(generate: ModuleType) -> None:
    """The links are those that the generator makes, and the lines begin with what is named."""
    page = (ROOT / "docs" / "deviations.md").read_text("utf-8")
    assert page == generate.deviations()
    links = re.findall(r"\[`([\w/]+\.py): ([\w.]+)`\]\(\.\./(\S+)#L(\d+)(?:-L(\d+))?\)", page)
    assert len(links) == len(generate.CODE_LINK.findall(page))
    for module, symbol, path, first, last in links:
        assert path == f"workflow/finecal/{module}"
        lines = (ROOT / path).read_text("utf-8").splitlines()[int(first) - 1 : int(last or first)]
        name = symbol.rpartition(".")[2]
        begins = next(line for line in lines if not line.strip().startswith("@"))
        assert re.match(rf"\s*((class|def) )?{name}\b", begins)
    points = re.split(r"^\d+\. ", page, flags=re.MULTILINE)[1:]
    assert len(points) >= 26
    assert [point for point in points if "../workflow/" not in point] == []


def test_a_link_to_what_is_gone_is_named(generate: ModuleType) -> None:
    found = generate.code_link("display.py", "BY_HAND")
    assert re.fullmatch(r"\[`display\.py: BY_HAND`\]\(\.\./workflow/finecal/display\.py#L\d+\)", found)
    with pytest.raises(ValueError, match=r"links Gone\.fit of calibrators/alg\.py, which does not define it"):
        generate.code_link("calibrators/alg.py", "Gone.fit")


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
