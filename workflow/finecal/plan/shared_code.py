"""Files of code that decide the results of several stages (`finecal.plan.stages`); relative to the package."""

# Running a model over images.
MODELS = (
    "runtime/lookahead.py",
    "data/augmentation.py",
    "data/colors.py",
    "data/crops.py",
    "runtime/device.py",
    "runtime/few_channels.py",
    "models/extraction.py",
    "models/grey.py",
    "models/heads.py",
    "models/joined_heads.py",
    "models/last_layer.py",
    "models/files.py",
    "models/build.py",
    "models/statements.py",
    "models/transformers_config.py",
    "models/whole_loading.py",
    "models/preprocessing.py",
    "data/reader.py",
    "models/toy.py",
)
TRAINING = (
    *MODELS,
    "training/batches.py",
    "training/task.py",
    "training/inputs.py",
    "training/optimizer.py",
    "recipes/__init__.py",
    "seeds.py",
    "training/loop.py",
)
RECIPES = tuple(f"recipes/_{name}.py" for name in ("frozen", "lowrank", "reference", "weights"))
# Fitting calibrators to logits, and applying them.
CALIBRATORS = (
    "calibrators/_pseudo.py",
    "calibrators/_temperature.py",
    "calibration/contract.py",
    "calibration/added.py",
    "calibration/least.py",
    "metrics/validation.py",
    "metrics/curve.py",
    "metrics/best_of_groups.py",
    "metrics/order.py",
    "calibration/parameters.py",
    "calibration/inputs.py",
    "metrics/classification.py",
    "metrics/per_class.py",
    "calibration/criterion.py",
    "metrics/unit_rows.py",
    "metrics/softmax.py",
)
# Showing results.
PRESENTED = (
    "stages/tables_and_figures.py",
    "metrics/classifiers.py",
    "analysis/intervals.py",
    "analysis/spread.py",
    "analysis/statistics.py",
    "display.py",
)
TABLES = (
    "tables/__init__.py",
    "tables/_cost.py",
    "tables/_gamma.py",
    "tables/_gamma_data.py",
    "tables/_leaderboard.py",
    "tables/_methods.py",
    "tables/_ranks.py",
)
FIGURES = (
    "figures/__init__.py",
    "figures/_compare.py",
    "figures/_labels.py",
    "figures/_matplotlib.py",
    "figures/_style.py",
)
# What is said of results, on every surface.
ANSWER = (
    "analysis/advice.py",
    "analysis/diagnosis.py",
    "analysis/findings.py",
    "analysis/remarks.py",
    "analysis/telling.py",
)
PAGE = (
    *ANSWER,
    "metrics/validation.py",
    "metrics/curve.py",
    "metrics/best_of_groups.py",
    "metrics/order.py",
    "calibration/contract.py",
    "calibration/deployment.py",
    "calibration/parameters.py",
    "calibration/python_lines.py",
    "figures/__init__.py",
    "figures/_matplotlib.py",
    "figures/_style.py",
    "metrics/classification.py",
    "metrics/per_class.py",
    "metrics/unit_rows.py",
    "report/charts.py",
    "report/curve_labels.py",
    "report/thumbnails.py",
    "report/explore.js",
    "report/explorer.html.jinja",
    "report/explorer.py",
    "report/render.py",
    "report/report.html.jinja",
    "report/run_view.py",
    "report/slider_stops.py",
    "report/style.css",
    "report/study_page.py",
    "report/vega.py",
    "tables/__init__.py",
    "tables/_text.py",
)
