"""Logits that a user brings: files and objects of many forms become checked arrays, and what is odd about them is said.

`files`, `arrow` and `arrays` open files, `memory` takes objects; `names` and `raw` find the columns; `labels`,
`subsets` and `kinds` say what their values mean; `brought` puts it together; `alignment` brings two models' rows
together, `doubts` has what makes an answer worthless.
"""
