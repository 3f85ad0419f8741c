"""Attention on a terminal."""
