"""What `finecal.diagnose` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finecal.analysis.diagnosis import Answer
from finecal.analysis.telling import Told, tell
from finecal.errors import UserError, how_to_install
from finecal.io.atomic import write_text
from finecal.io.outside import reason
from finecal.io.outside_warnings import unseen
from finecal.io.parquet import with_columns
from finecal.library.fitted import FittedCalibrator, matrix
from finecal.library.keeping import check_page
from finecal.library.measuring import Measured
from finecal.library.notebook import html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OF_EXPORT = (
    "Of the logits that were brought. What is advised is in this folder already: nothing is to be added to its logits."
)
SETTING = {"task": "", "backbone": "", "recipe": ""}  # of logits nothing but their file's name is known


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `finecal.diagnose` found.

    Attributes
    ----------
    answer
        Verdicts, numbers and advice, as the page and the command line have them.
    doubts
        What makes any answer worthless; then there is no advice.
    notes
        What was recognised and assumed.
    left_out
        The methods that need what is not there.
    fine_tuning
        (C,) bool: the classes of S.
    classes
        Names of the classes; numbers as text where they have none.
    scores, scores_pretrained
        What the scores were: logits, probabilities, …; `apply` takes the same.
    """

    answer: Answer
    doubts: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    fine_tuning: npt.NDArray[np.bool_]
    classes: tuple[str, ...]
    scores: str
    scores_pretrained: str
    measured: Measured
    record: Mapping[str, Any]
    name: str

    @property
    def verdict(self) -> str:
        """What was damaged and what was not, in sentences."""
        return self.told.verdict

    @property
    def advice(self) -> str:
        """What to do, what it brings and what it costs, in a sentence."""
        return self.told.do

    @property
    def reasons(self) -> str:
        """The sentences behind verdict and advice."""
        return "\n".join([*(line.words for line in self.told.lines), " ".join(self.told.behind)]).strip()

    @cached_property
    def told(self) -> Told:
        """The answer in the sentences of the page, the command line and the model card."""
        return tell(self.answer)

    @property
    def gamma(self) -> float | None:
        """The γ to add to the logits of the classes of U; None where the advice is no γ, or there is none."""
        value = self.answer.advice.gamma_mean
        return None if np.isnan(value) else value

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row for each classifier, calibrator and metric: value in [0, 1] (AUSUC too), n test samples."""
        return self.measured.frame("metrics")[["classifier", "calibrator", "reads", "metric", "value", "n"]]

    @cached_property
    def gammas(self) -> pd.Series:
        """γ of every calibrator that is one, by name; `oracle` is chosen on the test labels, an upper bound."""
        table = self.measured.frame("calibration")
        return table[table["parameter"] == "gamma"].set_index("calibrator")["value"].rename("gamma")

    def apply(self, logits: Any, *, features: Any = None, pretrained: Any = None) -> npt.NDArray[np.float64]:
        """Return calibrated logits (N, C), float64, of new samples by the method that is advised.

        Parameters
        ----------
        logits
            (N, C), scores of the same kind as those that were diagnosed.
        features, pretrained
            (N, D) and (N, C), if the advised method takes them; scores of the kind that was diagnosed.

        Raises
        ------
        UserError
            If there are doubts, the shape is another, or a value is not of the kind that was diagnosed.
        """
        if self.doubts:
            raise UserError("there is no advice to apply", why=" ".join(self.doubts))
        values = matrix(logits, "logits", width=len(self.classes), kind=self.scores, classes=self.classes)
        if pretrained is not None:
            pretrained = matrix(
                pretrained, "pretrained", width=len(self.classes), kind=self.scores_pretrained, classes=self.classes
            )
        name = self.answer.advice.calibrator
        if name == "none":
            return values
        state = self.measured.states.get(name, {})
        fitted = FittedCalibrator(name, self.measured.uses[name], state, self.fine_tuning, self.classes)
        return fitted.apply(values, features=features, pretrained=pretrained)

    def figure(self) -> Figure:
        """Return the seen–unseen curve as a matplotlib figure; it belongs to no window and no backend."""
        from finecal.figures import draw

        drawn: Figure = draw("curve", self.frames("curve", "metrics", "calibration"))[0]
        return drawn

    def report(self, path: str | Path) -> Path:
        """Write the page that `finecal diagnose` writes, one HTML file; return its path.

        Raises
        ------
        UserError
            If another file is there, or it cannot be written.
        """
        try:
            check_page(Path(path))
            write_text(path, self.page())
        except (OSError, ValueError) as error:  # a name that is too long, a null byte, a folder that takes no files
            raise UserError(f"cannot be written ({reason(error)})", where=str(path)) from error
        return Path(path)

    @unseen()
    def export(self, model: Any, folder: str | Path, *, images: Any = None, onnx: bool = True) -> Path:
        """Write what `finecal export` writes, for a model of timm and the advised method; return the folder.

        `timm.create_model("local-dir:FOLDER", pretrained=True)` loads the calibrated classifier; beside it are
        `model.onnx`, the model card, `calibration.json` and `check.parquet` (docs/export.md). The model is not changed,
        and its own preprocessing is kept. Before the folder gets its name, what was written is run and must give the
        model's logits with the calibration.

        Parameters
        ----------
        model
            The fine-tuned model whose logits were diagnosed.
        images
            Image files or Pillow's images on which the folder is checked; noise without them.
        onnx
            Whether `model.onnx` is written, where the extra `export` is installed.

        Raises
        ------
        UserError
            If nothing is advised, the model is not timm's, the method cannot be exported, a package is missing, or
            there is something else in the folder.
        """
        name = self.answer.advice.calibrator
        if self.doubts or name == "none":
            raise UserError("there is no calibration to export", why=f"{self.verdict} {self.advice}")
        try:
            from finecal.export.model_card import Origin
            from finecal.library.exporting import Export, export_timm
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            raise UserError(f"this needs {missing}, which is not installed", hint=how_to_install("pipeline")) from error
        origin = Origin(
            where=self.where, heading=self.name, tuned="", tests="the logits that were brought",
            source="Diagnosed from logits with", metrics=self.measured.tables["metrics"].to_pylist(),
            record=self.record, images="images of noise" if images is None else "images that were given",
            told=self.told, of=OF_EXPORT,
        )  # fmt: skip
        state = self.measured.states.get(name, {})
        what = Export(self.measured.uses[name], state, self.fine_tuning, self.classes, origin)
        export_timm(model, Path(folder), what, images, onnx=onnx)
        return Path(folder)

    def page(self) -> str:
        """Return the page as HTML."""
        from finecal.report.logits_page import page

        frames = self.frames("metrics", "calibration")
        return page(
            frames, self.measured.tables["samples"], self.fine_tuning, self.where, names=self.classes,
            answer=(self.answer, self.notes), provenance=self.record,
        )  # fmt: skip

    @property
    def where(self) -> dict[str, str | int]:
        """The coordinates that the page and the figure show."""
        return {"dataset": self.name, **SETTING, "split": "", "seed": 0}

    def frames(self, *names: str) -> dict[str, pd.DataFrame]:
        """Return tables with the coordinates as columns, as figures and pages take them."""
        return {name: with_columns(self.measured.tables[name], self.where).to_pandas() for name in names}

    def _repr_html_(self) -> str:
        shown = None if self.doubts else self.figure
        return html(self.told, self.answer.advice.calibrator, self.metrics, (*self.notes, *self.left_out), shown)

    def __repr__(self) -> str:
        return f"{self.verdict}\n{self.advice}"
