"""Engines: where slices execute. `local` runs them in this process."""
