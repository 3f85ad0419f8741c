"""The full-screen view of attention in a terminal, with textual: a widget a file.

textual takes longer to import than everything else, so import this room only to open a screen.
"""
