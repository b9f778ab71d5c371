"""What `finecal` offers to others: imported when it is used, seen by type checkers, and nothing before."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import finecal

ROOT = Path(__file__).parents[2]
NAMES = [name for name in finecal.__all__ if name != "__version__"]


def output(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_that_of_its_module(name: str) -> None:
    assert getattr(finecal, name) is getattr(import_module(f"finecal.{finecal._MODULES[name]}"), name)


def test_what_a_plugin_and_a_notebook_need_is_there() -> None:
    from finecal import (  # noqa: F401
        AddGamma,
        BaseRecipe,
        Data,
        Model,
        Study,
        UserError,
        accuracies,
        load_study,
        ncm_scores,
        read_table,
        seen_unseen_curve,
    )

    assert seen_unseen_curve([[2.0, 1.0], [1.5, 1.0]], [0, 1], [0]).ausuc == 1.0


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import finecal; "
        "print(sorted(n for n in set(sys.modules) - before if n.split('.')[0] not in sys.stdlib_module_names))"
    )
    assert output(code) == "['finecal']"


def test_a_calibrators_names_import_neither_torch_nor_tables() -> None:
    code = (
        "import sys; from finecal import AddGamma, Data, Model, UserError, accuracies, seen_unseen_curve; "
        "print([name for name in ('torch', 'timm', 'pandas', 'pyarrow', 'matplotlib') if name in sys.modules])"
    )
    assert output(code) == "[]"


def test_all_names_are_listed() -> None:
    assert {*finecal.__all__} <= {*dir(finecal)}
    assert len(finecal.__all__) == len({*finecal.__all__})
    with pytest.raises(AttributeError, match="module 'finecal' has no attribute 'nothing'"):
        finecal.nothing  # noqa: B018
    with pytest.raises(ImportError):
        from finecal import nothing  # noqa: F401


def test_no_name_hides_a_package() -> None:
    folder = Path(finecal.__file__).parent
    assert not {*NAMES} & {path.stem for path in folder.iterdir()}


def test_type_checkers_see_the_same_names() -> None:
    """Each is re-exported as `from x import y as y` under TYPE_CHECKING, from the module that it is imported from."""
    tree = ast.parse(Path(finecal.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    found = {alias.asname: node.module for node in imports for alias in node.names if alias.name == alias.asname}
    assert found == {name: f"finecal.{module}" for name, module in finecal._MODULES.items()}


def test_the_package_says_that_it_is_typed() -> None:
    """The wheel holds the whole folder, and the mark is in it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    folder = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"][0]
    assert (ROOT / folder / "py.typed").is_file()
    assert subprocess.run(["git", "-C", ROOT, "check-ignore", f"{folder}/py.typed"], check=False).returncode == 1
