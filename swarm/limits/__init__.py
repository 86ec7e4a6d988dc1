"""What a run may spend and how fast: `gate` is the one place that every model call passes; `budget` reserves and
settles what is spent; `attempts` sends a call until it is answered, through the `lanes` that all runs share, one
for each model, where `meter` counts tokens and calls a minute, `places` calls in flight, and `breaker` keeps calls
from a provider that is down. `rates` are what the user says."""
