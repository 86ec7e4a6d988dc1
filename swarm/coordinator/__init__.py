"""The coordinator: plans, dispatches slices, merges reports, judges, and answers.

`desk` is what a run works with, `plan` cuts the corpus, `dispatch` keeps every place busy, `judge` asks on,
`consolidate` says many findings shorter, `finish` writes the answer, and `machine` strings these phases together
as a LangGraph graph: it alone knows langgraph.
"""
