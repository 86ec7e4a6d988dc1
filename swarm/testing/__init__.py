"""What tests of Swarm, and of programs built on it, need.

`recorded.Recorded` is a model that answers from a recorded run, and `swarm.models.scripted.Scripted` one that says
what it is told to: neither needs a server. `provider.Provider` is a server on a loopback address that speaks the
formats of Anthropic and OpenAI, with faults (`faults`), rates (`allowance`) and latencies of your choice, and
counts what it was asked (`tally`); `process` runs it in a process of its own. It needs the extra `testing`.
`postgres.LocalPostgres` is a PostgreSQL server for a while, and `conformance` the suite that a journal of your own
is held to.
"""
