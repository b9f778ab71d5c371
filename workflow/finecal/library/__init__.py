"""finecal in a notebook: one call from logits, or from a model and its images, to the answer.

The command line calls it too. `diagnosis` is the call for logits and `result` what it returns; `given` is what it is
handed, `classes` how S is told, `measuring` what is computed, `folder` and `summary` what `finecal diagnose` writes and
prints, `keeping` what it must not replace.
"""
