"""The simulated provider in plain words: what it says where no form is asked for, and what it counts."""

from __future__ import annotations

import openai

from swarm.testing.mimic import spoken
from swarm.testing.provider import Provider


def test_it_says_the_line_that_holds_most_words_of_the_last_question() -> None:
    told = "Anna lives in Lisbon. Ben lives in Ghent.\n\nWhere does Ben live?"
    assert spoken([told]) == "Ben lives in Ghent."
    assert spoken(["Be brief.", "Anna lives in Lisbon.", "Where does Anna live?"]) == "Anna lives in Lisbon."


def test_a_line_that_has_a_label_is_said_with_it() -> None:
    view = "[1] Anna lives in Lisbon.\n[2] (a letter) It rained. Ben lives in Ghent.\nMore of it."
    assert spoken([f"{view}\n\nWhere does Ben live?"]) == "Ben lives in Ghent. [2]"
    assert spoken([f"{view}\n\nWhere does Anna live?"]) == "Anna lives in Lisbon. [1]"


def test_what_stands_in_a_view_twice_is_said_once() -> None:
    view = "[1] Ben lives in Ghent.\n[2] (a letter) It rained.\nBen lives in Ghent."
    assert spoken([f"{view}\n\nWhere does Ben live?"]) == "Ben lives in Ghent. [1]"


def test_a_tool_needs_no_description_and_no_parameters() -> None:
    tools = [{"type": "function", "function": {"name": "look"}}]
    with (
        Provider() as provider,
        openai.OpenAI(base_url=provider.openai_url, api_key="any", max_retries=0) as client,
    ):
        made = client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "Hello"}], tools=tools  # type: ignore[arg-type,list-item]
        )  # fmt: skip
    assert made.choices[0].message.content == "You said: Hello"


def test_what_no_line_answers_is_said_back() -> None:
    assert (
        spoken(["Anna lives in Lisbon.", "Who painted the town hall?"]) == "You said: Who painted the town hall?"
    )
    assert spoken([]) == spoken([""]) == "You said nothing."


def test_tokens_that_were_billed_are_counted() -> None:
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Anna lives in Lisbon. Where does Anna live?"}]}
    ]
    with (
        Provider(window=1_000) as provider,
        openai.OpenAI(base_url=provider.openai_url, api_key="any", max_retries=0) as client,
    ):
        made = client.chat.completions.create(model="any", messages=messages, max_tokens=50)  # type: ignore[arg-type]
        assert made.usage is not None
        counts = provider.tally.summary()
        assert (counts["input_tokens"], counts["output_tokens"]) == (
            made.usage.prompt_tokens,
            made.usage.completion_tokens,
        )
        provider.reset()
        assert provider.tally.summary()["input_tokens"] == 0
