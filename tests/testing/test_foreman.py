"""The stand-in for a mind plans, works and judges a goal from the text of the real prompts."""

import json

import pytest

from swarm.models.language import schema_of
from swarm.prompts.render import render
from swarm.prompts.replies import AssessReply, OutlineReply, WorkReply
from swarm.prompts.typed import AssessPrompt, Outcome, OutlinePrompt, Standing, WorkPrompt
from swarm.source import Passage, Span
from swarm.testing.mimic import answer

TEXT = "The light was built in 1871.\nIda Lewis kept the light for 54 years.\n"
MATERIAL = {
    "passages": (Passage(id=1, span=Span("s", 0, len(TEXT)), tokens=1, cut=9, context="", text=TEXT),),
    "paths": {"s": "notes/light.md"},
}


def asked(prompt):
    rendered = render(prompt)
    text = "\n\n".join((rendered.system, *rendered.parts))
    return prompt.reply.model_validate(answer(text, schema_of(prompt.reply)))


def outline(**settings) -> OutlineReply:
    return asked(OutlinePrompt(question="Write a history", shown=(), basis=("1",), **{"room": 20} | settings))


def work(**settings) -> WorkReply:
    given = {"question": "A history", "objective": "Who kept the light?", "shown": (), "basis": ("1",)}
    return asked(WorkPrompt(**given | {"legs": 4} | settings))


def assess(*standings: tuple[str, str], **settings) -> AssessReply:
    shown = tuple(Standing(name=name, state=state, text="") for name, state in standings)
    given = {"question": "A history", "shown": (), "basis": ("1",), "standings": shown, "rounds_left": 2}
    return asked(AssessPrompt(**given | settings))


# A plan


def test_a_goal_with_material_is_a_slice_for_each_source_and_one_that_joins_them():
    orders = outline(sources=("a.md", "b & c.md"), count=2).orders
    assert [order.sources for order in orders] == [["a.md"], ["b & c.md"], []]
    assert orders[-1].needs == [order.name for order in orders[:-1]]


@pytest.mark.parametrize("room", [1, 2, 5, 40])
def test_many_sources_are_shared_out_in_the_room_that_there_is(room):
    paths = tuple(f"{number}.md" for number in range(30))
    orders = outline(sources=paths, count=30, room=room).orders
    assert len(orders) <= room
    named = {path for order in orders for path in order.sources}
    assert named == set(paths) or room == 1


def test_a_goal_without_material_is_three_slices_the_last_of_which_needs_the_others():
    orders = outline().orders
    assert [bool(order.needs) for order in orders] == [False, False, True]
    assert len({order.name for order in orders}) == 3


def test_a_plan_that_is_there_is_left_alone_and_what_failed_is_asked_for_again_once():
    done, failed = (Standing(name="one", state="done", text="x"), Standing(name="two", state="failed", text=""))
    assert outline(standings=(done,)).orders == []
    assert [order.name for order in outline(standings=(done, failed)).orders] == ["two again"]
    again = Standing(name="two again", state="failed", text="")
    assert outline(standings=(done, failed, again)).orders == []


# Work


def test_a_piece_names_what_it_was_given_and_quotes_lines_of_its_material():
    reply = work(outcomes=(Outcome(name="part 1", text="The tower is white."),), **MATERIAL)
    assert reply.status == "done"
    assert "notes/light.md" in reply.result
    assert "part 1: The tower is white." in reply.result
    assert reply.findings[0].quote == "Ida Lewis kept the light for 54 years."
    assert all(finding.quote in TEXT for finding in reply.findings)
    assert reply.findings[0].quote in reply.result


def test_a_piece_with_more_material_goes_on_from_its_notes_until_nobody_is_left():
    reply = work(more=5_000, notes="It is white.", **MATERIAL)
    assert (reply.status, reply.result) == ("continue", "")
    assert "It is white." in reply.notes
    assert "Ida Lewis" in reply.notes
    last = work(more=5_000, notes=reply.notes, legs=1, **MATERIAL)
    assert last.status == "done"
    assert "It is white." in last.result


def test_a_result_with_a_schema_is_json_that_fits_it():
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"}, "count": {"type": "integer", "minimum": 3},
            "kind": {"enum": ["a", "b"]}, "maybe": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 1},
        },
        "required": ["name", "count", "kind", "maybe", "list"],
    }  # fmt: skip
    made = json.loads(work(schema=json.dumps(schema)).result)
    assert made == {"name": made["name"], "count": 3, "kind": "a", "maybe": None, "list": [True]}
    assert made["name"]


# A verdict


def test_the_goal_is_reached_once_nothing_of_the_plan_is_left():
    assert assess(("one", "done"), ("two", "dropped")).verdict == "done"
    assert assess(("one", "done"), ("two", "waiting")).verdict == "go_on"
    assert assess().verdict == "done"


def test_what_failed_or_a_check_says_is_planned_anew_as_long_as_that_may_be():
    failed = assess(("one", "done"), ("two", "failed"))
    assert (failed.verdict, failed.missing) == ("replan", ["two"])
    assert assess(("two", "failed"), rounds_left=0).verdict == "stop"
    assert assess(("one", "done"), checks=("2 tests fail",)).missing == ["2 tests fail"]
    assert assess(("two", "failed"), ("two again", "done")).verdict == "done"
