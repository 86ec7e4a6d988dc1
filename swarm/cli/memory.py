"""`swarm memory`: the memory of a conversation, with a word for each thing that one can do with it.

`swarm/memory/` does the work; `remembered` opens a memory and prints. What was said is cleaned before it is shown.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli.plain import clean, number, one_line, plural
from swarm.cli.remembered import (
    Told,
    block_line,
    document,
    fact_line,
    listed,
    message_line,
    messages_in,
    mirror_lines,
    read_text,
    summary,
    with_memory,
)
from swarm.errors import UsageError

if TYPE_CHECKING:
    from swarm.memory.memory import Memory

memory = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=False,
    subcommand_metavar="[COMMAND] [ARGS]...",
    help="The memory of a conversation: remember, look, edit, forget.",
)

_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="Where the memory is kept.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many to list.")]
_Model = Annotated[
    str, typer.Option("--model", metavar="MODEL", help="extractive (no key), anthropic:NAME, openai:NAME.")
]
_Window = Annotated[int | None, typer.Option("--window", metavar="TOKENS", min=1, help="What one call may hold.")]
_BaseUrl = Annotated[str | None, typer.Option("--base-url", metavar="URL", help="A compatible server.")]
_MaxCost = Annotated[
    float, typer.Option("--max-cost-usd", metavar="USD", min=0, help="Stop before more is spent.")
]


@memory.callback()
def named(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", show_default=False, help="The memory; without it, all are listed."),
    ] = None,
) -> int:
    """The memory of a conversation: what it holds, and what can be done with it. With a name alone: `status`; with
    nothing: the names of all."""
    if name is None:
        return listed()
    context.obj = name
    return 0 if context.invoked_subcommand else with_memory(context, None, summary, as_json=False, looks=True)


@memory.command()
def status(context: typer.Context, store: _Store = None, as_json: _Json = False) -> int:
    """Say how much it holds."""
    return with_memory(context, store, summary, as_json=as_json, looks=True)


# Messages


@memory.command()
def remember(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-",
            show_default=False,
            help="JSONL or JSON of messages, an export of conversations, or text; - is standard input.",
        ),
    ],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="Who said it, where it is text.")] = "user",
    name: Annotated[str | None, typer.Option("--name", metavar="WHO", help="The speaker, likewise.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="When, likewise: 2026-05-31T14:00.")
    ] = None,
    model: _Model = "extractive",
    window: _Window = None,
    base_url: _BaseUrl = None,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Remember messages; those that are known already are passed over."""

    messages = messages_in(file, role, name, at)  # before the store is taken: who writes to the pipe may need it

    async def run(memory: Memory) -> Told:
        done = await memory.remember(messages)
        unread = (
            f"; {number(done.unread_tokens)} tokens are unread: flush reads them" if done.unread_tokens else ""
        )
        return document(done), [f"{plural(done.new, 'message')} remembered, {done.known:,} known already{unread}"]

    return with_memory(
        context, store, run, as_json=as_json, there=False, model=model, window=window, base_url=base_url
    )


@memory.command()
def messages(
    context: typer.Context,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, help="How many, from the end.")] = 20,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Show the last messages."""

    async def run(memory: Memory) -> Told:
        found = list(memory.messages(last=last))
        lines = [message_line(one, one.text) for one in found] or ["no messages"]
        return {"messages": [asdict(one) for one in found]}, lines

    return with_memory(context, store, run, as_json=as_json, looks=True)


@memory.command()
def view(
    context: typer.Context,
    about: Annotated[str, typer.Argument(metavar="ABOUT", show_default=False, help="What is asked.")],
    tokens: Annotated[int, typer.Option("--tokens", metavar="N", min=64, help="The budget of the view.")] = 2_000,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Show what an agent would be shown: blocks, facts, the messages that bear on it, and the last ones."""

    async def run(memory: Memory) -> Told:
        seen = await memory.view(about, tokens=tokens)
        return asdict(seen), [clean(seen.text) or f"nothing bears on it that fits {tokens:,} tokens"]

    return with_memory(context, store, run, as_json=as_json, looks=True)


@memory.command()
def search(
    context: typer.Context,
    words: Annotated[str, typer.Argument(metavar="WORDS", show_default=False, help="What to look for.")],
    limit: _Limit = 10,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Said then or later.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Said then or earlier.")] = None,
    who: Annotated[str | None, typer.Option("--who", metavar="WHO", help="Said by this speaker or role.")] = None,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Find messages, best first."""

    async def run(memory: Memory) -> Told:
        found = await memory.search(words, limit=limit, since=since, until=until, who=who)
        lines = [message_line(one.message, one.text) for one in found] or ["nothing was said with these words"]
        return {"found": [asdict(one) for one in found]}, lines

    return with_memory(context, store, run, as_json=as_json, looks=True)


# Facts


@memory.command()
def facts(
    context: typer.Context,
    about: Annotated[str | None, typer.Argument(metavar="[ABOUT]", show_default=False, help="On what.")] = None,
    limit: _Limit = 20,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """List what holds now: of each attribute the latest value."""

    async def run(memory: Memory) -> Told:
        found = memory.facts(about, limit)
        lines = [fact_line(fact) for fact in found] or ["no facts"]
        return {"facts": [asdict(fact) for fact in found]}, lines

    return with_memory(context, store, run, as_json=as_json, looks=True)


@memory.command()
def history(
    context: typer.Context,
    of: Annotated[str, typer.Argument(metavar="ID|SUBJECT", show_default=False, help="A fact, or a subject.")],
    attribute: Annotated[
        str | None, typer.Argument(metavar="[ATTRIBUTE]", show_default=False, help="Of the subject.")
    ] = None,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Show every version of a fact, oldest first."""

    async def run(memory: Memory) -> Told:
        found = memory.history(of, attribute)
        if not found:
            raise UsageError(f"{memory.name} has no fact {of!r}: give its id, or a subject and an attribute")
        return {"versions": [asdict(fact) for fact in found]}, [fact_line(fact, history=True) for fact in found]

    return with_memory(context, store, run, as_json=as_json, looks=True)


@memory.command()
def fact(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", show_default=False, help="The fact as a sentence.")],
    subject: Annotated[str | None, typer.Option("--subject", metavar="WHO", help="What it is about.")] = None,
    attribute: Annotated[str | None, typer.Option("--attribute", metavar="WHAT", help="What of it.")] = None,
    value: Annotated[str | None, typer.Option("--value", metavar="VALUE", help="Replaces the one before.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="When it holds from.")] = None,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Add a fact by hand."""

    async def run(memory: Memory) -> Told:
        added = await memory.add_fact(text, subject=subject, attribute=attribute, value=value, time=since)
        return asdict(added), [fact_line(added)]

    return with_memory(context, store, run, as_json=as_json, there=False)


@memory.command()
def retire(
    context: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="The fact.")],
    reason: Annotated[str, typer.Argument(metavar="REASON", show_default=False, help="Why it holds no longer.")],
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Say that a fact holds no longer; it stays as history."""

    async def run(memory: Memory) -> Told:
        gone = await memory.retire(id_, reason)
        return asdict(gone), [fact_line(gone, history=True)]

    return with_memory(context, store, run, as_json=as_json)


# Blocks


@memory.command()
def blocks(context: typer.Context, store: _Store = None, as_json: _Json = False) -> int:
    """List the blocks."""

    async def run(memory: Memory) -> Told:
        found = list(memory.blocks.values())
        lines = [block_line(one) for one in found] or ["no blocks"]
        return {"blocks": [asdict(one) for one in found]}, lines

    return with_memory(context, store, run, as_json=as_json, looks=True)


@memory.command()
def block(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="The block.")],
    text: Annotated[str | None, typer.Option("--set", metavar="TEXT", help="Write it anew.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE|-", help="Write it anew from a file or standard input.")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Take it out.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="TOKENS", min=1, help="The most it holds.")
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="What it is for.")
    ] = None,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Show a block, write it anew, or take it out."""

    if sum((text is not None, file is not None, drop)) > 1:
        raise UsageError("--set, --file and --drop: give one of them")
    new = text if file is None else read_text(file)

    async def run(memory: Memory) -> Told:
        if drop:
            await memory.drop_block(name)
            return {"dropped": name}, [f"the block {one_line(name)} is gone"]
        there = memory.blocks.get(name)
        written = new
        if written is None and (limit is not None or description is not None) and there is not None:
            written = there.text
        if written is not None:
            there = await memory.write_block(name, written, limit_tokens=limit, description=description)
        if there is None:
            raise UsageError(f"{memory.name} has no block {name!r}: write it with --set or --file")
        return asdict(there), [clean(there.text)]

    looks = new is None and not drop and limit is None and description is None
    return with_memory(context, store, run, as_json=as_json, there=False, looks=looks)


# Tidying


@memory.command()
def forget(
    context: typer.Context,
    id_: Annotated[
        str | None, typer.Argument(metavar="[ID]", show_default=False, help="A message, a fact or an episode.")
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help="Forget all of the memory.")] = False,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Forget a message or a fact for good, with what rests on it alone; or all of the memory."""
    if whole == (id_ is not None):
        raise UsageError("give the id of a message or a fact to forget, or --all to forget the whole memory")

    async def run(memory: Memory) -> Told:
        if id_ is None:
            await memory.forget_all()
        else:
            await memory.forget(id_)
        return {"forgotten": id_ or memory.name}, [f"{one_line(id_ or memory.name)} is forgotten"]

    return with_memory(context, store, run, as_json=as_json)


@memory.command()
def flush(
    context: typer.Context,
    model: _Model = "extractive",
    window: _Window = None,
    base_url: _BaseUrl = None,
    max_cost_usd: _MaxCost = 5.0,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Read with a language model what none has read yet."""

    async def run(memory: Memory) -> Told:
        done = await memory.flush()
        more = "" if done.complete else "; a limit was reached: flush again to go on"
        told = f"{number(done.read_tokens)} tokens read, {plural(done.findings, 'finding')}{more}"
        if model == "extractive":
            told = "nothing to read: with no language model (--model) facts are taken from words at once"
        return document(done), [told]

    return with_memory(
        context, store, run, as_json=as_json, model=model, window=window, base_url=base_url, cost_usd=max_cost_usd
    )


@memory.command()
def dream(
    context: typer.Context,
    most: Annotated[int, typer.Option("--most", metavar="N", min=1, help="How many old stretches.")] = 8,
    model: _Model = "extractive",
    window: _Window = None,
    base_url: _BaseUrl = None,
    max_cost_usd: _MaxCost = 5.0,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Consolidate, as an agent does while nobody asks: facts that say the same, old stretches said in short."""

    async def run(memory: Memory) -> Told:
        done = await memory.dream(most=most)
        more = "" if done.complete else f"; {done.stopped or 'more is left'}: dream again to go on"
        told = f"{plural(done.merged, 'fact')} merged, {plural(done.episodes, 'episode')} written{more}"
        return document(done), [told]

    return with_memory(
        context, store, run, as_json=as_json, model=model, window=window, base_url=base_url, cost_usd=max_cost_usd
    )


@memory.command()
def mirror(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", show_default=False, help="Empty, or a mirror of it.")
    ],
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Mirror it into Markdown files under git, and read back what was edited there."""

    async def run(memory: Memory) -> Told:
        from swarm.memory.mirror import mirror

        done = await mirror(memory, folder)
        return asdict(done), mirror_lines(done)

    return with_memory(context, store, run, as_json=as_json)
