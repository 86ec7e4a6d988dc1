"""Engines: where slices execute. `local` runs them in this process, `postgres` on all that share a database."""
