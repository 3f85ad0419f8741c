"""The reference implementation of attention: pure array functions in the order of the maths.

The same code runs on NumPy and on torch, through the array API standard. Shapes are named in comments beside each line
that changes one; `...` stands for any leading batch axes.
"""
