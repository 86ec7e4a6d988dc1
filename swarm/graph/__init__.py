"""The shared graph: the working memory of a run. It calls no model; a judgement is handed in as a report.

`identity` names things by their content, `graph` merges reports and shows the result.
"""
