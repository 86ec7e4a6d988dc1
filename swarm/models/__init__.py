"""Models: one protocol (`base`), several implementations, and the registry that turns a name into one."""
