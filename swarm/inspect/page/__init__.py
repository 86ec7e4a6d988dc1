"""The page of a run: its parts, which are drawn in a browser, and what joins them and serves them."""
