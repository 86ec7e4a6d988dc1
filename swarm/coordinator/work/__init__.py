"""Work towards a goal: a plan that is a graph of slices, worked, judged and planned anew while it goes on.

In reading order: `state` is what is known of it, `take` lets orders in, `brief` makes ready what a sub-agent is
told, `planner` and `judge` are asked like any slice, `pool` works everything that is ready, `again` restores it
all from the journal, `ahead` says what it will come to, and `answer` what came of it.
"""
