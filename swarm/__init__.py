"""Swarm: working memory for tasks larger than any context window."""
