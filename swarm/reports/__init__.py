"""Reports in which every sentence is cited: `cited` holds a text against findings, `written` has one written."""
