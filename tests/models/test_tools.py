"""Tools on every wire format, with the real SDK at one end and a loopback provider at the other."""

import gc
import json
from itertools import pairwise

import pytest

from swarm.errors import PromptTooLong, Rejected, RunError, Unavailable
from swarm.models.counts import Counts
from swarm.models.registry import connect as connect_by_name
from swarm.models.tools import ids_of
from swarm.prompts.acting import CallResult
from swarm.prompts.replies import WorkReply
from swarm.testing.provider import Fault
from swarm.testing.seen import seen_in

ODD = 'Tür "ä" \\ \n\t灯塔 🗼 </result> <think>'


class Hands:
    """Does one thing after the other, and keeps what it was shown."""

    def __init__(self, *does):
        self.does, self.seen = list(does), []

    def __call__(self, seen):
        self.seen.append(seen)
        return self.does[min(len(seen.turns), len(self.does) - 1)]


def call(tool, **arguments):
    return {"name": tool, "arguments": arguments}


def report(**more):
    return {"says": "Done.", "calls": [call("report", status="done", result="lit", **more)]}


LOOK = {"says": "I look first.", "calls": [call("read_file", path="lamp.py"), call("list_files")]}


def tools_in(body):
    return [tool.get("name") or tool["function"]["name"] for tool in body.get("tools", ())]


async def test_a_conversation_of_several_turns_is_seen_as_it_was_held(wire, connect, provider, steps):
    provider.hands = hands = Hands(LOOK, {"says": "Hm."}, {"calls": [call("list_files")]}, report())
    model, prompt = connect(wire), steps.step()
    reply = await steps.ask(model, prompt)
    assert reply.says == "I look first."
    assert [(one.name, json.loads(one.arguments)) for one in reply.calls] == [
        ("read_file", {"path": "lamp.py"}),
        ("list_files", {}),
    ]
    assert len({one.id for one in reply.calls}) == 2
    prompt = steps.after(prompt, reply, "def lamp(): ...", CallResult(text="not allowed", failed=True))
    reply = await steps.ask(model, prompt)
    assert (reply.says, reply.calls) == ("Hm.", [])
    prompt = steps.after(prompt, reply, "(You called no tool.)")
    reply = await steps.ask(model, prompt)
    assert (reply.says, len(reply.calls)) == ("", 1)
    prompt = steps.after(prompt, reply, "")
    reply = await steps.ask(model, prompt)
    assert WorkReply.model_validate_json(reply.calls[0].arguments).result == "lit"
    assert hands.seen[-1] == seen_in(prompt)
    assert hands.seen[-1].turns == (
        (({"name": "read_file", "arguments": {"path": "lamp.py"}}, {"name": "list_files", "arguments": {}}),
         ("def lamp(): ...", "Error: not allowed")),
        ((), ("(You called no tool.)",)),
        (({"name": "list_files", "arguments": {}},), ("…",)),
    )  # fmt: skip
    assert "Mend the lighthouse." in hands.seen[-1].text
    assert hands.seen[-1].tools == ("read_file", "list_files", "report")


async def test_a_failed_call_is_marked_as_the_provider_has_it(connect, provider, steps):
    done = steps.turn(("list_files", "{}"), results=(CallResult(text="no", failed=True),))
    await steps.ask(connect("messages"), steps.step(done))
    [result] = provider.requests[0]["messages"][-1]["content"]
    assert result["is_error"] is True


async def test_nobody_has_to_act_to_report(wire, connect, provider, steps):
    reply = await steps.ask(connect(wire), steps.step())
    assert [one.name for one in reply.calls] == ["report"]
    assert WorkReply.model_validate_json(reply.calls[0].arguments)


async def test_a_report_is_forced_and_asked_for_at_the_very_end(wire, connect, provider, steps):
    done = steps.turn(("list_files", "{}"), results=("a.py",))
    provider.hands = hands = Hands(report())
    await steps.ask(connect(wire), steps.step(done, force=True))
    assert hands.seen[0].force
    assert hands.seen[0].text.endswith("with notes for your successor.")
    body = json.dumps(provider.requests[0])
    assert body.rindex("Hand in now") > body.rindex("a.py")
    choice = provider.requests[0]["tool_choice"]
    assert (choice.get("name") or choice["function"]["name"]) == "report"


async def test_it_is_not_forced_where_it_need_not_report(wire, connect, provider, steps):
    await steps.ask(connect(wire), steps.step())
    assert "tool_choice" not in provider.requests[0]


async def test_a_provider_that_cannot_be_forced_is_asked_without_and_that_is_remembered(
    wire, connect, provider, steps
):
    provider.forced_tools = False
    model = connect(wire)
    for _ in range(2):
        reply = await steps.ask(model, steps.step(force=True))
        assert reply.calls[0].name == "report"
    assert ["tool_choice" in body for body in provider.requests] == [True, False, False]
    assert all(tools_in(body) for body in provider.requests)


async def test_opaque_thoughts_go_back_unchanged_with_their_turn(wire, connect, provider, steps):
    provider.thoughtful = True
    provider.hands = Hands(LOOK, LOOK, {"calls": [call("list_files")]}, report())
    model, prompt = connect(wire), steps.step()
    for _ in range(3):
        reply = await steps.ask(model, prompt)
        assert reply.kept
        prompt = steps.after(prompt, reply, *("seen" for _ in reply.calls))
    counted = model.count(prompt)
    completion = await model.call(prompt, max_output=500)
    assert completion.usage.input_tokens <= counted
    # which the provider would have noticed
    changed = steps.step(*(steps.turn(("list_files", "{}"), results=("x",), kept="") for _ in range(2)))
    with pytest.raises(RunError):
        await model.call(changed, max_output=500)


async def test_what_one_model_wants_back_no_other_gets(connect, provider, steps):
    provider.thoughtful = True
    reply = await steps.ask(connect("messages"), steps.step())
    provider.thoughtful = False
    prompt = steps.after(steps.step(), reply, "no")
    for wire in ("chat", "responses"):
        await steps.ask(connect(wire), prompt)
        assert reply.kept not in json.dumps(provider.requests[-1])
        assert "signature" not in json.dumps(provider.requests[-1])
    await steps.ask(connect("messages"), prompt)
    assert "signature" in json.dumps(provider.requests[-1])


async def test_arguments_keep_every_character(wire, connect, provider, steps):
    said = ODD.replace("<think>", "")
    provider.hands = hands = Hands({"says": said, "calls": [call("read_file", path=ODD)]}, report())
    model, prompt = connect(wire), steps.step()
    reply = await steps.ask(model, prompt)
    assert json.loads(reply.calls[0].arguments) == {"path": ODD}
    await steps.ask(model, steps.after(prompt, reply, ODD))
    assert hands.seen[1].turns == ((({"name": "read_file", "arguments": {"path": ODD}},), (ODD,)),)


async def test_arguments_that_were_cut_off_come_as_far_as_they_came_and_go_back_so(wire, connect, provider, steps):
    provider.hands = hands = Hands(LOOK, report())
    provider.faults.append(Fault(text='{"path": "a.p', stop="length"))
    model, prompt = connect(wire), steps.step()
    reply = await steps.ask(model, prompt)
    assert [one.arguments for one in reply.calls] == ['{"path": "lamp.py"}', '{"path": "a.p']
    prompt = steps.after(prompt, reply, "x", CallResult(text="no JSON", failed=True))
    await steps.ask(model, prompt)
    assert hands.seen[-1].turns[0][0][1]["arguments"] == {"INVALID_JSON": '{"path": "a.p'}
    assert hands.seen[-1] == seen_in(prompt)


async def test_a_call_that_was_cut_before_its_arguments_is_no_call_without_arguments(
    wire, connect, provider, steps
):
    provider.hands = Hands({"calls": [{"name": "list_files", "arguments": ""}]})
    provider.faults.append(Fault(stop="length"))
    reply = await steps.ask(connect(wire), steps.step())
    with pytest.raises(ValueError):
        json.loads(reply.calls[0].arguments)


async def test_no_arguments_are_an_empty_object(wire, connect, provider, steps):
    provider.hands = Hands({"calls": [{"name": "list_files", "arguments": ""}]})
    reply = await steps.ask(connect(wire), steps.step())
    assert reply.calls[0].arguments == "{}"


async def test_a_refusal_is_told_and_paid_for(wire, connect, provider, steps):
    provider.faults.append(Fault(text="I cannot help with that.", stop="refusal"))
    completion = await connect(wire).call(steps.step(), max_output=500)
    assert completion.refusal
    assert completion.usage.calls == 1


async def test_an_empty_reply_is_a_turn_in_which_nothing_was_done(wire, connect, provider, steps):
    provider.faults.append(Fault(text=""))
    model, prompt = connect(wire), steps.step()
    reply = await steps.ask(model, prompt)
    assert (reply.says, reply.calls) == ("", [])
    provider.hands = hands = Hands(report())
    await steps.ask(model, steps.after(prompt, reply, "Go on."))
    assert hands.seen[0].turns == (((), ("Go on.",)),)


async def test_a_stream_that_breaks_off_in_a_call_is_no_reply(wire, connect, provider, steps):
    for fault in (Fault(cut=True, after=5), Fault(end=True, after=5), Fault(reset=True, after=3)):
        provider.faults.append(fault)
        with pytest.raises(Unavailable):
            await connect(wire).call(steps.step(), max_output=500)


async def test_fields_and_events_that_nobody_knows_yet_are_passed_over(wire, connect, provider, steps):
    provider.novel = True
    provider.hands = Hands(LOOK)
    assert len((await steps.ask(connect(wire), steps.step())).calls) == 2


@pytest.mark.parametrize(
    "said",
    [
        None,
        "registry.ollama.ai/library/gemma:2b does not support tools",
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        "tools param requires --jinja flag",
        "No endpoints found that support tool use.",
        "Unsupported parameter: 'tools'",
        "This model doesn't support tool use.",
    ],
)
async def test_a_server_without_tools_is_told_of_them_in_words_and_that_is_remembered(
    said, wire, connect, provider, steps
):
    if said is None:
        provider.tools = False
    else:
        provider.faults.append(Fault(status=400, message=said))
    provider.hands = hands = Hands(LOOK, {"says": "Hm."}, report())
    model, prompt = connect(wire), steps.step()
    reply = await steps.ask(model, prompt)
    assert [(one.name, json.loads(one.arguments)) for one in reply.calls] == [
        ("read_file", {"path": "lamp.py"}),
        ("list_files", {}),
    ]
    prompt = steps.after(prompt, reply, ODD, CallResult(text="not allowed", failed=True))
    prompt = steps.after(prompt, await steps.ask(model, prompt), "Go on.")
    counted = model.count(prompt)
    completion = await model.call(prompt, max_output=900)
    assert completion.usage.input_tokens <= counted
    assert '"report"' in completion.text
    assert [bool(tools_in(body)) for body in provider.requests] == [True, False, False, False]
    assert hands.seen[-1].turns == seen_in(prompt).turns
    assert hands.seen[-1].tools == seen_in(prompt).tools


async def test_a_server_with_neither_tools_nor_schemas_is_asked_in_words_alone(wire, connect, provider, steps):
    provider.tools = provider.structured = provider.forced_tools = False
    provider.hands = hands = Hands(LOOK, report())
    model, prompt = connect(wire), steps.step()
    reply = await steps.ask(model, prompt)
    await steps.ask(model, steps.after(prompt, reply, "a", "b"))
    assert hands.seen[-1].turns[0][1] == ("a", "b")


async def test_an_objection_to_something_else_is_no_reason_to_do_without_tools(wire, connect, provider, steps):
    provider.faults.append(Fault(status=400, message="tools.0.input_schema: must be a JSON schema"))
    with pytest.raises(Rejected):
        await connect(wire).call(steps.step(), max_output=100)
    assert len(provider.requests) == 1


async def test_a_prompt_that_is_too_long_is_told_so(wire, connect, provider, steps):
    provider.window = 3_000
    long = steps.turn(("list_files", "{}"), results=("x " * 3_000,))
    with pytest.raises(PromptTooLong):
        await connect(wire).call(steps.step(long), max_output=100)


async def test_a_server_that_drops_turns_in_silence_is_found_out(connect, provider, steps):
    provider.window, provider.dialect = 2_000, "ollama"
    long = steps.turn(("list_files", "{}"), results=("word " * 9_000,))
    with pytest.raises(PromptTooLong):
        await connect("chat").call(steps.step(long), max_output=100)


async def test_the_growing_conversation_comes_from_the_cache(connect, provider, steps):
    provider.hands = Hands(LOOK)
    model, prompt, usages = connect("messages"), steps.step(), []
    for _ in range(6):
        completion = await model.call(prompt, max_output=900)
        usages.append(completion.usage)
        reply = await steps.ask(model, prompt)
        prompt = steps.after(prompt, reply, "seen " * 200, "seen " * 200)
    marks = [json.dumps(body).count("cache_control") for body in provider.requests]
    assert max(marks) <= 4
    for before, now in pairwise(usages):
        assert now.cached_tokens >= before.input_tokens - 20, "all but what is new"


async def test_many_calls_in_one_turn_do_not_lose_the_cache(connect, provider, steps):
    many = {"calls": [call("read_file", path=f"{n}.py") for n in range(40)]}
    provider.hands = Hands(many)
    model, prompt = connect("messages"), steps.step()
    for _ in range(3):
        reply = await steps.ask(model, prompt)
        prompt = steps.after(prompt, reply, *("seen" for _ in range(40)))
    before = (await model.call(prompt, max_output=100)).usage
    after = (await model.call(steps.after(prompt, reply, *("s" for _ in range(40))), max_output=100)).usage
    assert after.cached_tokens >= before.input_tokens - 20


async def test_what_cannot_be_opened_again_is_left_out(connect, provider, steps):
    provider.thoughtful = True
    provider.hands = Hands(LOOK, report())
    model, prompt = connect("responses"), steps.step()
    prompt = steps.after(prompt, await steps.ask(model, prompt), "a", "b")
    provider.thoughtful = False
    provider.faults.append(Fault(status=400, message="The encrypted content gAAA could not be verified."))
    await steps.ask(model, prompt)
    assert [item.get("type") for item in provider.requests[-2]["input"]].count("reasoning") == 1
    assert [item.get("type") for item in provider.requests[-1]["input"]].count("reasoning") == 0
    assert "include" not in provider.requests[-1]


def test_ids_are_made_where_they_lack_or_repeat_or_do_not_fit(steps):
    turns = [
        steps.turn(("a", "{}"), ("b", "{}"), results=("", "")),
        steps.turn(("a", "{}"), results=("",)),
    ]
    assert ids_of(turns) == [["id_0", "id_1"], ["call_1_0"]]
    strange = turns[0].calls[0].model_copy(update={"id": "a b:ü"})
    lacking = turns[0].calls[0].model_copy(update={"id": ""})
    odd = steps.turn(results=("", ""))
    object.__setattr__(odd, "calls", (strange, lacking))
    assert ids_of([odd]) == [["call_0_0", "call_0_1"]]


async def test_ids_that_repeat_from_turn_to_turn_are_told_apart(wire, connect, provider, steps):
    done = [steps.turn(("read_file", '{"path": "a"}'), ("list_files", ""), results=("x", "y")) for _ in range(3)]
    provider.hands = hands = Hands(report())
    await steps.ask(connect(wire), steps.step(*done))
    assert [results for _, results in hands.seen[0].turns] == [("x", "y")] * 3


async def test_the_extractive_model_says_that_it_does_not_act(steps):
    model = connect_by_name("extractive")
    with pytest.raises(RunError, match="choose a language model"):
        await model.call(steps.step(), max_output=100)
    await model.close()


def test_a_step_costs_no_more_to_count_than_what_is_new_in_it(wire, connect, steps):
    counted = []

    class Counter:
        def count(self, text):
            counted.append(len(text))
            return len(text)

        def ratio(self):
            return 1.0

        def observe(self, counted, billed):
            raise AssertionError

    model = connect(wire, counter=Counter())
    turns = [steps.turn(("list_files", "{}"), results=("x" * 1_000,)) for _ in range(300)]
    first = model.count(steps.step(*turns[:299]))
    counted.clear()
    assert model.count(steps.step(*turns)) > first + 1_000
    assert len(counted) <= 4
    assert model.count(steps.step(*turns)) == model.count(steps.step(*turns))


def test_turns_that_are_gone_are_not_remembered(steps):
    counts = Counts(len, lambda turn: len(turn.text))
    turns = [steps.turn(("list_files", "{}"), results=("x",)) for _ in range(3)]
    assert [counts.turn(turn) for turn in turns] == [15, 15, 15]
    del turns
    gc.collect()
    assert not counts._turns
