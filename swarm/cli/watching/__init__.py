"""The run in the terminal, as `swarm watch` shows it: what is shown is plain data, drawn by plain functions, and
the screen is the last of it."""
