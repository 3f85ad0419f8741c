"""Attention as data for other programs, and back."""
