"""One file per fine-tuning recipe: which parameters train, the loss, and a change to the weights afterwards.

A module has `Options` (a typed model) and `Recipe`, a class with the three methods of `full.Recipe`. The
training loop calls them and never asks which recipe it is. Imports of torch stand inside the methods, since
the module is also loaded to check a study.
"""
