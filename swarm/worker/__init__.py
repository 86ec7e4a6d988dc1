"""The sub-agent: one window of its own, a fresh start, and a report at the end.

`quotes` finds what a model quoted in the text it was given, `read` works a slice that is read.
"""
