"""What sub-agents do things with: tools from functions, from LangChain, from MCP servers, and Swarm's own.

Each is a `swarm.equipment.Tool`. A role takes them as they are; those that come with Swarm it takes by name, and
the names of `READ`, `WRITE` and `KNOWLEDGE` go together.
"""

READ = ("list_files", "read_file", "search_files")
"""Look at the files of a workspace."""
WRITE = (*READ, "edit_file", "write_file", "remove_file", "run_command", "changes")
"""Work in a workspace of one's own."""
KNOWLEDGE = ("search_graph", "open_finding", "search_sources", "open_source")
"""Look into what the run found and what it was given."""
BUILTIN = (*WRITE, *KNOWLEDGE, "ask_coordinator", "read_result", "subtask")
"""All that come with Swarm."""
