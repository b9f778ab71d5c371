"""What a data set must provide, and `DataSet`, through which everything else asks it.

A data set is a module: a file in `finecal/datasets`, or a file of the user's own. It has

- `Options`: a `finecal.config.Model` with the data set's options. A data set of image files derives it from
  `finecal.datasets._stored.Stored`, which has `size` and `fit`;
- the functions `domains` and `prepare`, and any of the others in `FUNCTIONS`. Each is explained at the method of
  `DataSet` with the same name; it is called with the parameters that stand in `FUNCTIONS`, where `options` is an
  `Options`. A function that is left out means the default given at the method;
- `LICENCE` and `CITATION`, texts for docs and users, if it has `downloads`.

Its docstring's first paragraph is its description. Its imports at the top are light: the module is loaded whenever a
study is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from finecal import registry
from finecal.data.asked_module import AskedModule, below
from finecal.download.spec import Download, Files
from finecal.errors import UserError

if TYPE_CHECKING:
    from finecal.data.image_files import ImageFiles
    from finecal.data.packed import PackedImages

REQUIRED = ("domains", "prepare")
# Function of a module → its parameters; `finecal.datasets.check_plugin` compares modules with it.
FUNCTIONS = {
    "domains": ("options",),
    "prepare": ("domain", "options", "files"),
    "classes": ("options",),
    "check": ("options",),
    "without_images": ("options",),
    "sampled_classes": ("domain", "options"),
    "decisive_options": ("domain", "options"),
    "downloads": ("domain", "options"),
    "official_tasks": ("options",),
    "official_downloads": ("options",),
    "official_split": ("source", "options", "folder"),
    "sizes": ("domain", "options"),
    "stored_side": ("options",),
    "other_order": ("options",),
    "inspect_files": ("options",),
    "sample_counts": ("domain", "options"),
}


class Sampled(NamedTuple):
    """Names of the classes that have training samples, and of those that have test samples."""

    train: frozenset[str]
    test: frozenset[str]


class Sizes(NamedTuple):
    """Numbers of training samples, test samples and classes."""

    train: int
    test: int
    classes: int


class DataSet(AskedModule):
    """A data set as a study uses it: a module and its options.

    Parameters
    ----------
    source
        Name of a built-in data set, or the path of a file of the user's own.
    options
        The module's `Options`, or key → value.

    Attributes
    ----------
    source
        As given.
    options
        An instance of the module's `Options`.

    Raises
    ------
    UserError
        If there is no such module, or a file of the user's own breaks the contract. All methods raise it too, if a
        function of a user's file fails or returns something else than its method says.
    pydantic.ValidationError
        If an option is unknown or has a wrong value.
    """

    def __init__(self, source: str, options: BaseModel | Mapping[str, Any]) -> None:
        super().__init__(source, registry.load("dataset", source))
        self.options: BaseModel = self.module.Options.model_validate(options)

    def domains(self) -> tuple[str, ...]:
        """Names of the domains, which have no `-`, since a task is `source-target`, and no `/`."""
        names = self._texts("domains", self._call("domains", self.options))
        if wrong := [name for name in names if not name or {"-", "/"} & {*name}]:
            raise self._wrong("domains", wrong[0], "a name without - and /")
        return names

    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes Y in their order; None, the default, if only the prepared images tell."""
        found = self._call("classes", self.options)
        return None if found is None else self._texts("classes", found)

    def other_order(self) -> tuple[str, ...] | None:
        """Another order in which a head may have the classes, where nobody has said which; None, the default, if not.

        A head whose rows have no names is then refused.
        """
        found = self._call("other_order", self.options)
        return None if found is None else self._texts("other_order", found)

    def check(self, where: str) -> None:
        """Check what a typed model cannot, such as whether folders are there; by default nothing.

        It is quick: every job calls it. The module's function raises a UserError whose `where` is the option; here it
        is put below the key path `where`.
        """
        with below(where):
            self._call("check", self.options)

    def inspect_files(self, where: str) -> tuple[str, ...]:
        """Check what takes a look at every file, for `finecal check`; lines on what was found, by default none.

        `prepare` checks the same. Errors are as those of `check`.
        """
        with below(where):
            return self._texts("inspect_files", self._call("inspect_files", self.options, default=()))

    def sample_counts(self, domain: str) -> dict[str, tuple[int, int]] | None:
        """Class → numbers of training and of test samples, for `finecal check`; None, the default, if not known."""
        found: dict[str, tuple[int, int]] | None = self._call("sample_counts", domain, self.options)
        return found

    def without_images(self) -> frozenset[str]:
        """Domains that have no images: a model pretrained there is taken as it is. By default none."""
        return frozenset(self._texts("without_images", self._call("without_images", self.options, default=())))

    def sampled_classes(self, domain: str) -> Sampled | None:
        """Classes that a domain has samples of; None, the default, stands for all of them."""
        found = self._call("sampled_classes", domain, self.options)
        if found is not None and len(found) != len(Sampled._fields):
            raise self._wrong("sampled_classes", found, "the names of classes with training and with test samples")
        return None if found is None else Sampled(*map(frozenset, found))

    def decisive_options(self, domain: str) -> dict[str, Any] | None:
        """What decides the samples of a domain besides the code: a change of it prepares the domain anew.

        Plain types: the options that concern the domain, and the contents of the user's own files
        (`finecal.io.contents.content_hashes`) in place of their paths. None, the default, stands for the options.
        """
        found: dict[str, Any] | None = self._call("decisive_options", domain, self.options)
        return found

    def downloads(self, domain: str) -> tuple[Download, ...]:
        """Files that a domain is made from; by default none.

        They are kept in `resources/{module}/` whatever the options, so a name always stands for the same bytes.
        Built-in data sets take them from the table (`finecal.datasets.find_downloads`).
        """
        return self._files("downloads", self._call("downloads", domain, self.options, default=()))

    def all_downloads(self) -> tuple[Download, ...]:
        """Files of all domains, each once."""
        return tuple(dict.fromkeys(file for domain in self.domains() for file in self.downloads(domain)))

    def official_tasks(self) -> tuple[str, ...]:
        """Tasks, `source-target`, whose split the publisher or the paper gives; by default none."""
        tasks = self._texts("official_tasks", self._call("official_tasks", self.options, default=()))
        if tasks and not hasattr(self.module, "official_split"):
            raise UserError("`official_tasks` names tasks, but there is no `official_split`", where=self.source)
        return tasks

    def official_downloads(self) -> tuple[Download, ...]:
        """Files that the official splits are read from; by default none."""
        return self._files("official_downloads", self._call("official_downloads", self.options, default=()))

    def official_split(self, source: str, folder: Path) -> tuple[tuple[int, ...], int]:
        """Class numbers in the published order, those of S first, and how many of them are in S.

        Parameters
        ----------
        source
            The source domain whose split it is; the split is for all its official tasks.
        folder
            Has the `official_downloads`, checked.
        """
        order, size = self._call("official_split", source, self.options, folder)
        return tuple(order), int(size)

    def sizes(self, domain: str) -> Sizes | None:
        """Numbers of samples and classes, for estimates; None, the default, if they are not known beforehand."""
        found = self._call("sizes", domain, self.options)
        if found is not None and len(found) != len(Sizes._fields):
            raise self._wrong("sizes", found, "three numbers: of training samples, test samples and classes")
        return None if found is None else Sizes(*found)

    def stored_side(self) -> int:
        """Side of the stored images in pixels, for estimates; by default the option `size`, or 0 without one."""
        return int(self._call("stored_side", self.options, default=getattr(self.options, "size", 0)))

    def decodes_files(self) -> bool:
        """Whether its images are files, which are decoded by several threads: its options say how they are stored."""
        return {"size", "fit"} <= type(self.options).model_fields.keys()

    def prepare(self, domain: str, files: Files) -> PackedImages | ImageFiles:
        """Training and test samples of a domain: arrays, or image files that are then decoded and packed.

        Parameters
        ----------
        files
            The folder with the downloads of the domain, checked, and a scratch folder for what is in archives.

        Raises
        ------
        UserError
            If a file has not what it should.
        """
        from finecal.data.image_files import ImageFiles
        from finecal.data.packed import PackedImages

        found = self._call("prepare", domain, self.options, files)
        if not isinstance(found, (PackedImages, ImageFiles)):
            raise self._wrong("prepare", found, "a PackedImages or an ImageFiles")
        return found
