"""A machine that works slices of runs which are coordinated elsewhere: what `swarm worker` is.

In reading order: `heart` tells that it lives and keeps its leases, `programs` finds the plan of a run that is
code, `joined` is a run as a worker knows it, `attempt` works one slice of it, and `serve` does so as long as it is
asked. It plans, judges and merges nothing.
"""
