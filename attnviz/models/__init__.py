"""Models: text in, tokens and attention out. The rest of the house never asks what stands behind one."""
