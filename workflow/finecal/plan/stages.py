"""The stages of the pipeline, in its order: name → record.

A stage is described by its record and nowhere else; its function is in `finecal.stages`, its rule in `workflow/rules`.
"""

from __future__ import annotations

from finecal.plan.stages_of_models import STAGES_OF_MODELS
from finecal.plan.stages_of_results import STAGES_OF_RESULTS

STAGES = {stage.name: stage for stage in (*STAGES_OF_MODELS, *STAGES_OF_RESULTS)}
