"""The parts of the pages that people open: what they embed of a run, charts, words, tables, template and script."""
