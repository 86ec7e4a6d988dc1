"""A run for other programs: tables, and the spans of its calls."""
