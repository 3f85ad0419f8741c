"""Pretrained checkpoints of well-known families, run on NumPy by the reference transformer.

A family is data: `families` has tables of parameter names and of config keys. `recognition` says whether a folder holds
such a checkpoint, `stored` finds its parameters in the files, which `tensors` reads one by one.
"""
