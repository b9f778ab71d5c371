"""Readers of finecal are shown small valid files of its own that were changed at random, always the same for a seed."""
