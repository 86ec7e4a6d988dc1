"""The store: one SQLite file with three rooms.

`database` opens it (locks, migrations, grouped commits), `journal` is the append-only record of runs, `library`
holds the sources' text, their passages and the full-text index. The rooms share the connection and know nothing
of one another.
"""
