"""A mind with hands: the same behind a simulated provider, on every wire, and in process."""

import json

import pytest

from swarm.errors import RunError, Unavailable
from swarm.models.language import schema_of
from swarm.models.scripted import Scripted
from swarm.prompts.acting import REPORT, ActPrompt, CallResult, ToolSpec, Turn, named
from swarm.prompts.replies import ActReply, WorkReply
from swarm.prompts.typed import WorkPrompt
from swarm.testing.faults import Fault, kinds
from swarm.testing.seen import Seen, acting, seen_in
from swarm.testing.simulated import simulated

LOOK = {"type": "object", "properties": {"at": {"type": "string"}}}
TOOLS = (
    ToolSpec(name="look", description="Looks.", parameters=LOOK),
    ToolSpec(name=REPORT, description="Hands in.", parameters=schema_of(WorkReply)),
)


def step(*turns: Turn, force: bool = False) -> ActPrompt:
    base = WorkPrompt(question="Keep the coast lit.", objective="Mend the lamp.", basis=("lamp",), shown=())
    return ActPrompt(
        question=base.question, base=base, tools=TOOLS, toolset=named(TOOLS), turns=turns, force=force
    )


def hands(seen: Seen):
    """Looks at two things, looks again at what failed, and reports what it saw."""
    if not seen.turns:
        return {"says": "Two things.", "calls": [look("lamp"), look("lens")]}
    calls, results = seen.turns[-1]
    failed = [call for call, result in zip(calls, results, strict=True) if result.startswith("Error: ")]
    if failed and not seen.force:
        return {"calls": failed}
    return {"calls": [{"name": REPORT, "arguments": {"status": "done", "result": " ".join(results)}}]}


def look(at: str):
    return {"name": "look", "arguments": {"at": at}}


async def session(model) -> list[ActReply]:
    """All replies of one sub-agent, whose second look fails the first time."""
    replies, prompt, failing = [], step(), {"lens"}
    while True:
        text = (await model.call(prompt, max_output=900)).text
        replies.append(ActReply.model_validate_json(text))
        reply, results = replies[-1], []
        for call in reply.calls:
            if call.name == REPORT:
                return replies
            at = json.loads(call.arguments)["at"]
            results.append(CallResult(text=f"a {at}", failed=at in failing))
            failing.discard(at)
        done = Turn(says=reply.says, calls=tuple(reply.calls), results=tuple(results), kept=reply.kept)
        prompt = step(*prompt.turns, done)


async def test_the_same_mind_does_the_same_on_every_wire_and_in_process(wire, connect):
    with simulated(hands=hands) as provider:
        there = await session(connect(wire, provider))
    here = await session(Scripted({"act": acting(hands)}))
    assert [[(one.name, json.loads(one.arguments)) for one in reply.calls] for reply in there] == [
        [(one.name, json.loads(one.arguments)) for one in reply.calls] for reply in here
    ]
    assert WorkReply.model_validate_json(here[-1].calls[0].arguments).result == "a lens"
    assert len(here) == 3


async def test_a_script_may_say_what_is_called_as_it_is():
    model = Scripted({"act": lambda prompt: {"calls": [look("lamp")]}})
    reply = ActReply.model_validate_json((await model.call(step(), max_output=100)).text)
    assert reply.calls[0].arguments == '{"at": "lamp"}'


def test_a_script_counts_tools_turns_and_what_is_said_last():
    model = Scripted([])
    done = Turn(says="x " * 100, calls=(), results=(CallResult(text="y " * 100),))
    assert model.count(step()) > model.count(step().base)
    assert model.count(step(done)) > model.count(step()) + 200
    assert model.count(step(force=True)) > model.count(step())


async def test_a_mind_that_does_not_know_says_so_to_the_client(wire, connect):
    def lost(seen):
        raise LookupError("nothing comes to it")

    with simulated(hands=lost) as provider, pytest.raises(RunError, match="nothing comes to it"):
        await connect(wire, provider).call(step(), max_output=500)


async def test_what_goes_wrong_with_replies_goes_wrong_with_calls(wire, connect):
    faults = kinds()
    with simulated(hands=hands) as provider:
        model = connect(wire, provider)

        async def reply(fault: Fault) -> ActReply:
            provider.faults.append(fault)
            return ActReply.model_validate_json((await model.call(step(), max_output=60)).text)

        for name in ("cut stream", "reset stream", "early end", "connection reset", "wrong content type"):
            with pytest.raises(Unavailable):
                await reply(faults[name])
        for name in ("truncated JSON", "over-long reply"):
            with pytest.raises(ValueError):
                json.loads((await reply(faults[name])).calls[-1].arguments)
        assert "findings" in json.loads((await reply(faults["schema violation"])).calls[-1].arguments)
        assert (await reply(faults["empty reply"])).calls == []
        provider.faults.append(faults["refusal"])
        assert (await model.call(step(), max_output=60)).refusal
        assert len((await reply(Fault())).calls) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body["messages"].pop(),  # the results of the last turn
        lambda body: body["messages"][-1]["content"].pop(),
        lambda body: body["messages"][-1]["content"][0].update(tool_use_id="another"),
        lambda body: body["messages"][1]["content"][-1].update(id="call_0_0"),
        lambda body: body["messages"][1]["content"].insert(0, {"type": "text", "text": " "}),
    ],
)
async def test_a_conversation_that_no_provider_takes_is_refused(spoil, connect):
    import httpx2

    with simulated(hands=hands) as provider:
        model = connect("messages", provider)
        first = ActReply.model_validate_json((await model.call(step(), max_output=900)).text)
        done = Turn(says="", calls=tuple(first.calls), results=(CallResult(text="a"), CallResult(text="b")))
        await model.call(step(done), max_output=900)
        body = provider.requests[-1]
        spoil(body)
        async with httpx2.AsyncClient() as client:
            assert (await client.post(f"{provider.url}/v1/messages", json=body)).status_code == 400


def test_a_prompt_is_seen_with_all_that_is_told():
    calls = acting(hands)(step()).calls
    done = Turn(says="x", calls=tuple(calls), results=(CallResult(text="a"), CallResult(text="", failed=True)))
    seen = seen_in(step(done, force=True))
    assert seen.tools == ("look", "report")
    assert seen.turns == (((look("lamp"), look("lens")), ("a", "Error: ")),)
    assert "Mend the lamp." in seen.text
    assert "Hand in now" in seen.text
    assert seen.force
