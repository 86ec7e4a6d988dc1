"""Experiments on one file that are measured by a program: what is tried, what it measures, what is kept.

In reading order: `pristine` keeps a folder as it was, `measure` runs a command in it and tells a win from noise,
`ledger` keeps what was tried, `knobs` finds the constants of a file and `mutate` proposes changes of them
without any model, `plot` draws the best over the experiments, `lab` joins them into the orders, the code and the
trial of a program, and `study` is the folder in which that goes on. After Karpathy's autoresearch,
https://github.com/karpathy/autoresearch.
"""
