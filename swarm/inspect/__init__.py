"""Looking into a run, live or over: what it does, what it knows, what it cost, and why it says what it says.

Everything here reads: a run does not notice that it is looked at.
"""
