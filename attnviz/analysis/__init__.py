"""Analyses: attention in, numbers out."""
