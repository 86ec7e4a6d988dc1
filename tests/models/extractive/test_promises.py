"""What the extractive model promises, prompt by prompt."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.models.extractive import Extractive
from swarm.prompts.replies import AnswerReply, ConsolidateReply, JudgeReply, ReadReply
from swarm.prompts.typed import AnswerPrompt, ConsolidatePrompt, JudgePrompt, Prompt, ReadPrompt, Shown
from swarm.source import Passage, Span
from swarm.task import Finding, TermStatistics
from swarm.terms import question_terms, terms

TEXT = (
    "The lighthouse at Lime Rock was kept by Ida Lewis for 54 years. She was born in Newport in 1842. "
    "The lamp burnt whale oil. Visitors came by boat, and on Sundays the school rowed out to see her."
)
CORPUS = [
    TEXT,
    "The mill by the river ground corn until 1901. Its wheel was made of oak.",
    "Newport lies on Aquidneck Island. Its harbour is deep.",
]


def statistics(question: str) -> TermStatistics:
    bags = [set(terms(text)) for text in CORPUS]
    frequency = {term: sum(term in bag for bag in bags) for term in question_terms(question)}
    return TermStatistics(passages=300, mean_tokens=40.0, frequency=frequency)


def passage(text: str, number: int = 0, score: float = 5.0) -> Passage:
    return Passage(id=number, span=Span("s", 0, len(text)), tokens=50, cut=9, context="", text=text, score=score)


def read(question: str, *texts: str, path: str = "a.txt", most: int = 8) -> ReadPrompt:
    return ReadPrompt(
        question=question,
        output="answer" if question else "digest",
        passages=tuple(passage(text, number) for number, text in enumerate(texts)),
        paths={"s": path},
        tokens=100,
        max_findings=most,
        statistics=statistics(question),
    )


def shown(*claims: str, relevance: float = 0.5) -> tuple[Shown, ...]:
    return tuple(
        Shown(
            label=f"F{n}",
            finding=Finding(
                id=f"f{n}", claim=claim, evidence=(Span(f"s{n}", 0, len(claim)),), relevance=relevance
            ),
            quotes=(claim,),
            where=f"{n}.txt:1",
        )
        for n, claim in enumerate(claims, start=1)
    )


async def ask(prompt: Prompt[Any]) -> Any:
    return prompt.reply.model_validate_json((await Extractive().call(prompt, max_output=4_096)).text)


async def test_the_sentence_that_answers_is_found_first_and_quoted_as_it_stands() -> None:
    reply: ReadReply = await ask(read("Who kept the lighthouse at Lime Rock?", *CORPUS))
    best = max(reply.findings, key=lambda finding: finding.relevance)
    assert best.quote == "The lighthouse at Lime Rock was kept by Ida Lewis for 54 years."
    assert all(any(finding.quote in text for text in CORPUS) for finding in reply.findings)


async def test_a_record_is_quoted_without_its_punctuation() -> None:
    raw = json.dumps({"title": "Lime Rock", "text": 'It was "kept" by Ida Lewis for 54 years. It burnt oil.'})
    reply: ReadReply = await ask(read("Who kept Lime Rock?", raw, path="a.jsonl"))
    assert reply.findings
    for finding in reply.findings:
        assert finding.quote in raw
        assert not set("{}").intersection(finding.quote)
        assert "\\" not in finding.claim
    assert any('"kept" by Ida Lewis' in finding.claim for finding in reply.findings)


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=300),
    st.sampled_from(["Who kept the light?", "", "何が?"]),
    st.sampled_from(["txt", "jsonl", "py"]),
)
async def test_every_quote_stands_in_the_passage_whatever_it_holds(text: str, question: str, kind: str) -> None:
    reply: ReadReply = await ask(read(question, text, path=f"a.{kind}", most=4))
    assert len(reply.findings) <= 4
    assert all(finding.quote in text for finding in reply.findings)
    assert all(0 <= finding.relevance <= 1 for finding in reply.findings)


async def test_an_answer_is_made_of_found_sentences_alone() -> None:
    question = "Who kept the lighthouse at Lime Rock?"
    items = shown("The lighthouse at Lime Rock was kept by Ida Lewis for 54 years.", "The lamp burnt whale oil.")
    reply: AnswerReply = await ask(AnswerPrompt(question=question, shown=items, statistics=statistics(question)))
    assert reply.answerable
    assert reply.statements[0].text == items[0].finding.claim
    assert reply.statements[0].findings == ["F1"]
    assert {statement.text for statement in reply.statements} <= {item.finding.claim for item in items}


async def test_what_the_findings_do_not_answer_is_not_answered() -> None:
    question = "What is the boiling point of tungsten?"
    items = shown("The point of the island lies to the north.", "The lamp burnt whale oil.")
    reply: AnswerReply = await ask(AnswerPrompt(question=question, shown=items, statistics=statistics(question)))
    assert not reply.answerable
    assert not reply.statements
    assert reply.short is None


async def test_nothing_found_is_given_up_and_nothing_is_asked_twice() -> None:
    question = "Where was the keeper of the lighthouse at Lime Rock born?"
    none: JudgeReply = await ask(JudgePrompt(question=question, shown=(), rounds_left=2))
    assert none.verdict == "give_up"
    items = shown("The lighthouse at Lime Rock was kept by Ida Lewis.")
    stats = statistics(question)
    first: JudgeReply = await ask(JudgePrompt(question=question, shown=items, rounds_left=2, statistics=stats))
    assert any("Ida Lewis" in follow_up for follow_up in first.follow_ups)
    again: JudgeReply = await ask(
        JudgePrompt(question=question, shown=items, rounds_left=1, statistics=stats, asked=tuple(first.follow_ups))
    )
    assert not set(again.follow_ups) & set(first.follow_ups)


async def test_a_consolidation_keeps_its_length_its_order_and_its_words() -> None:
    claims = [
        f"Report {n}: mill number {n} ground {n * 100} bushels of corn beside the long river." for n in range(30)
    ]
    reply: ConsolidateReply = await ask(ConsolidatePrompt(question="", shown=shown(*claims), words=60))
    texts = [statement.text for statement in reply.statements]
    assert 0 < sum(len(text.split()) for text in texts) <= 60
    assert texts == sorted(texts, key=claims.index)


async def test_the_same_prompt_gets_the_same_reply() -> None:
    prompt = read("Who kept the lighthouse at Lime Rock?", *CORPUS)
    assert await ask(prompt) == await ask(prompt)
