"""What a request asks, which of its turns stay, and how the others are said shorter."""

from __future__ import annotations

import pytest

from swarm.serve.asked import ABOUT, PARAGRAPH, apart, ends, question
from swarm.serve.recent import Step, kept, shortened, steps, tokens_of, with_view
from swarm.serve.request import Part, Request, Turn

STORY = "\n\n".join(f"The ship came in on day {at}, and nobody was there to see it." for at in range(400))


def request(*turns: Turn) -> Request:
    return Request(wire="chat", model="any", system="", turns=turns)


def user(*texts: str) -> Turn:
    return Turn(role="user", parts=tuple(Part(text=text) for text in texts))


def model(text: str) -> Turn:
    return Turn.said("assistant", text)


def call(name: str) -> Turn:
    return Turn(role="assistant", parts=(Part(text="look: {}", raw={"id": name}, kind="call", call=name),))


def result(name: str, text: str = "found") -> Turn:
    raw = {"role": "tool", "tool_call_id": name, "content": text}
    return Turn(role="tool", parts=(Part(text=text, raw=raw, kind="result", call=name),), raw=raw)


def words(text: str) -> int:
    return len(text.split())


# What is asked


@pytest.mark.parametrize("asks", ["When did the ship come in?", "Summarise the text.", "Question: the day"])
def test_a_question_is_found_at_either_end_and_the_material_between(asks: str) -> None:
    after = apart(f"{STORY}\n\n{asks}")
    assert (after.before, after.after.strip()) == ("", asks)
    before = apart(f"{asks}\n\n{STORY}")
    assert (before.before.strip(), before.after) == (asks, "")
    assert before.end - before.start == len(STORY)


def test_a_question_at_both_ends_is_kept_whole() -> None:
    found = apart(f"Answer from the text.\n\n{STORY}\n\nWhen did the ship come in?")
    assert found.text == "Answer from the text.\n\nWhen did the ship come in?"


def test_a_text_that_asks_nothing_is_all_material() -> None:
    assert apart(STORY) == apart(STORY)
    assert (apart(STORY).start, apart(STORY).end) == (0, len(STORY))
    assert apart("").text == apart("\n\n\n").text == ""


def test_what_is_taken_apart_is_the_text_again() -> None:
    for text in (STORY, f"Why?\n\n{STORY}", f"{STORY}\nWhy?", "Why?", " \n\n Why? \n\n ", "a" * 9_000 + "\nWhy?"):
        found = apart(text)
        assert found.before + text[found.start : found.end] + found.after == text


def test_a_long_paragraph_is_material_whatever_it_says() -> None:
    assert apart(f"{STORY}\n\n{'why? ' * PARAGRAPH}").after == ""


def test_the_question_is_that_of_the_last_turn_without_its_material() -> None:
    said = request(user("Hello"), model("Hi"), user(STORY, "When did the ship come in first?"))
    assert question(said, 1_000) == "When did the ship come in first?"
    one = request(user(f"{STORY}\n\nWhen did the ship come in first?"))
    assert question(one, 1_000) == "When did the ship come in first?"


def test_a_question_that_says_little_comes_after_the_one_before() -> None:
    said = request(user("When did the grey ship come in first?"), model("Today"), user("And why?"))
    assert question(said, 1_000) == "When did the grey ship come in first?\nAnd why?"


def test_results_of_tools_are_not_what_is_asked() -> None:
    said = request(user("When did the grey ship come in?"), call("a"), result("a", "Why is it so?"))
    assert question(said, 1_000) == "When did the grey ship come in?"


def test_a_question_is_bounded() -> None:
    assert len(question(request(user("why is that so? " * 900)), 1_000)) <= ABOUT
    assert question(request(user(STORY)), 1_000)
    assert question(request(), 1_000) == ""


def test_ends_are_cut_between_words() -> None:
    head, tail = ends("one two three four five six", 12, 10)
    assert (head, tail) == ("one two", "five six")


# What stays


def test_a_call_and_its_results_are_one_step_and_a_question_begins_another() -> None:
    turns = [user("q"), call("a"), result("a"), call("b"), result("b"), model("so"), user("r")]
    assert steps(turns) == [
        Step(first=0, last=1, asks=True),
        Step(first=1, last=3, asks=False),
        Step(first=3, last=5, asks=False),
        Step(first=5, last=6, asks=False),
        Step(first=6, last=7, asks=True),
    ]


def test_results_of_calls_made_at_once_stay_with_them() -> None:
    both = Turn(role="assistant", parts=(*call("a").parts, *call("b").parts))
    assert [(one.first, one.last) for one in steps([user("q"), both, result("a"), result("b")])] == [
        (0, 1),
        (1, 4),
    ]


def test_steps_tile_any_list() -> None:
    for turns in ([], [model("a")], [result("x")], [call("a"), user("q")], [result("x"), user("q"), call("a")]):
        cut = steps(turns)
        assert [at for one in cut for at in range(one.first, one.last)] == list(range(len(turns)))


def test_what_is_kept_begins_with_a_person_and_ends_at_the_end() -> None:
    turns = [part for at in range(20) for part in (user(f"question {at}"), model("word " * 50))][:-1]
    said = request(*turns)
    stays = kept(said, turns, turns, words, must=100, may=200)
    assert stays is not None
    assert turns[stays.first].role == "user"
    assert stays.tokens == sum(tokens_of(turn, words) for turn in turns[stays.first :]) <= 300
    assert kept(said, turns, turns, words, must=100, may=0).first == len(turns) - 1  # type: ignore[union-attr]


def test_of_a_long_loop_of_tools_the_question_and_the_last_steps_stay() -> None:
    turns = [user("hello"), model("hi"), user("the question")]
    turns += [turn for at in range(30) for turn in (call(f"c{at}"), result(f"c{at}", "word " * 40))]
    stays = kept(request(*turns), turns, turns, words, must=200, may=100)
    assert stays is not None
    assert stays.asked == 2
    places = stays.places(len(turns))
    assert places[0] == 2
    assert places[1:] == list(range(stays.first, len(turns)))
    assert turns[stays.first].role == "assistant"
    assert turns[-1] in [turns[at] for at in places]


def test_a_last_turn_that_does_not_fit_is_told() -> None:
    turns = [user("word " * 500)]
    assert kept(request(*turns), turns, turns, words, must=100, may=100) is None


def test_of_a_loop_of_tools_the_newest_results_stay_whole_and_older_ones_shorter() -> None:
    whole, short = [user("the question")], [user("the question")]
    for at in range(8):
        whole += [call(f"c{at}"), result(f"c{at}", "word " * 60)]
        short += [call(f"c{at}"), result(f"c{at}", "word")]
    stays = kept(request(*whole), whole, short, words, must=400, may=0)
    assert stays is not None
    assert len(whole) - 1 not in stays.short
    assert stays.short == frozenset(range(min(stays.short), max(stays.short) + 1))
    assert stays.tokens <= 400
    assert len(stays.places(len(whole))) > 10


def test_what_is_too_long_stays_in_its_shorter_form_and_what_fits_stays_whole() -> None:
    whole = [user("word " * 500), model("yes"), user("word " * 40), model("no"), user("the question")]
    short = [user("word " * 20), model("yes"), user("word"), model("no"), user("the question")]
    stays = kept(request(*whole), whole, short, words, must=100, may=160)
    assert stays is not None
    assert (stays.first, stays.short) == (0, {0})
    lone = kept(request(*whole[:1]), whole[:1], short[:1], words, must=100, may=0)
    assert lone is not None
    assert (lone.first, lone.short) == (0, {0})


def test_a_list_without_a_person_keeps_its_last_step() -> None:
    turns = [call("a"), result("a")]
    stays = kept(request(*turns), turns, turns, words, must=100, may=0)
    assert stays is not None
    assert stays.places(2) == [0, 1]


# How it is said shorter


def test_a_long_text_keeps_what_asks_and_both_ends() -> None:
    said = request(user(f"{STORY}\n\nWhen did the ship come in?"))
    (short,) = shortened(said, {(0, 0)}, 0, 900)
    assert "day 0," in short.text
    assert "day 399," in short.text
    assert "day 200," not in short.text
    assert short.text.endswith("When did the ship come in?")
    assert f"{len(said.turns[0].text):,} characters" in short.text
    assert len(short.text) < 1_300


def test_of_very_many_texts_the_middle_ones_are_one_note() -> None:
    said = request(user(*[STORY] * 500, "When did the ship come in?"))
    (short,) = shortened(said, {(0, at) for at in range(500)}, 0, 900)
    assert len(short.text) < 6_000
    assert "in 492 texts" in short.text
    assert short.parts[-1].text == "When did the ship come in?"


@pytest.mark.parametrize(("wire", "field"), [("messages", "content"), ("responses", "output")])
def test_the_result_of_a_call_stays_a_result(wire: str, field: str) -> None:
    raw = {"type": "some_result", "id": "a", field: STORY}
    turn = Turn(role="tool", parts=(Part(text=STORY, raw=raw, kind="result", call="a"),), raw=raw)
    said = Request(wire=wire, model="any", system="", turns=(call("a"), turn))  # type: ignore[arg-type]
    (part,) = shortened(said, {(1, 0)}, -1, 900)[1].parts
    assert (part.kind, part.call, part.raw["id"], part.raw[field]) == ("result", "a", "a", part.text)
    assert len(part.text or "") < 800


def test_calls_stay_as_they_are() -> None:
    turn = Turn(role="assistant", parts=(Part(text=STORY, raw={"id": "a"}, kind="call", call="a"),))
    assert shortened(request(turn), {(0, 0)}, -1, 900)[0].parts == turn.parts


def test_the_view_goes_into_the_first_turn_of_a_persons() -> None:
    first, second = with_view([user("q"), model("a")], "the view")
    assert [part.text for part in first.parts] == ["the view", "q"]
    assert second == model("a")
    before, *rest = with_view([call("a"), result("a")], "the view")
    assert (before.role, before.text) == ("user", "the view")
    assert rest == [call("a"), result("a")]
    assert with_view([user("q")], "") == [user("q")]
