"""Swarm inside an agent that is there already: long tasks in the background, and the doors to them.

In reading order:

    allowed     what whoever embeds Swarm allows those who ask: folders, limits, work
    status      how a task stands, from its events and from the journal
    recorded    the records by which a process goes on with what another has left
    running     the tasks that are at work in this process
    lookup      what a store holds of tasks
    jobs        the facade: begin, follow, steer and look up tasks
    words       a task in plain values, short enough for a model's window
    tools       the same as tools of an agent
    called      how a tool is called by any SDK; `anthropic`, `openai`, `agents`, `langchain` are those of each
    shapes      what the tools tell, as schemas
    remembering a memory as tools for a client whose conversation nobody else remembers
    mcp         the same as an MCP server; `mcp_http` serves it to many clients

A door is opened by whoever embeds Swarm; none of these modules is imported by `import swarm`.
"""
