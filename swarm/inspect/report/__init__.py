"""A run as one HTML file that needs nothing beside it: `write` puts it together.

blocks     what is embedded: compressed, numbered, counted against the room that there is
texts      the text of sources, whole or in stretches
findings   the findings, the most relevant first, and what hangs on them
others     the nodes of other kinds, the tree of summaries, what contradicts what
work       slices, calls, the plan, the timeline, the sources as they were read
paper      the answer and the figures in plain HTML, for print and where no script runs
charts     figures as SVG without a script
"""
