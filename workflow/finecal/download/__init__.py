"""Fetch, resume, verify and unpack the files of data sets."""
