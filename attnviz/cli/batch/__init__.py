"""Texts exported into a folder that remembers what was done, so that what was stopped goes on where it was."""
