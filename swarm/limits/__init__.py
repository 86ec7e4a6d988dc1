"""What a run may spend and how fast: `budget` reserves and settles, `pace` spreads requests, and `gate` is the one
place that every model call passes."""
