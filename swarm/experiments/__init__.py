"""Experiments on one file that are measured by a program: what is tried, what it measures, what is kept.

In reading order: `measure` runs a command and tells a win from noise, `ledger` keeps what was tried, `mutate`
proposes changes of constants without any model, `plot` draws the best over the experiments, and `lab` joins them
into the orders, the code and the trial of a program. After Karpathy's autoresearch,
https://github.com/karpathy/autoresearch.
"""
