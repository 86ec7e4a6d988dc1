"""Views: the part of the shared graph that one agent is shown, packed under a token budget."""
