"""The stand-in for a model's mind quotes what is there and nothing else."""

import pytest

from swarm.models.language import schema_of
from swarm.prompts.render import render
from swarm.prompts.replies import AnswerReply, ConsolidateReply, JudgeReply, PlanReply, ReadReply
from swarm.prompts.typed import AnswerPrompt, ConsolidatePrompt, JudgePrompt, PlanPrompt, ReadPrompt, Shown
from swarm.source import Passage, Span
from swarm.task import Finding
from swarm.testing.mimic import answer

TEXT = "The light was built in 1871.\nIda Lewis kept the light for 54 years. She rowed.\n"
SHOWN = (
    Shown(
        label="F1", finding=Finding(id="1", claim="Ida kept the light.", evidence=()), quotes=("x",), where="a:1"
    ),
    Shown(label="F2", finding=Finding(id="2", claim="Rain fell in May.", evidence=()), quotes=("y",), where="a:2"),
)


def asked(prompt):
    rendered = render(prompt)
    return prompt.reply.model_validate(
        answer("\n".join((rendered.system, *rendered.parts)), schema_of(prompt.reply))
    )


def read(question: str, text: str = TEXT, max_findings: int = 5) -> ReadReply:
    passage = Passage(id=1, span=Span("s", 0, len(text)), tokens=1, cut=9, context="", text=text)
    prompt = ReadPrompt(
        question=question,
        output="answer",
        passages=(passage,),
        paths={"s": "a"},
        tokens=1,
        max_findings=max_findings,
    )
    return asked(prompt)


def test_every_quote_stands_in_the_material():
    reply = read("Who kept the light?")
    assert reply.findings
    assert all(finding.quote in TEXT for finding in reply.findings)
    assert reply.findings[0].quote == "Ida Lewis kept the light for 54 years."


def test_what_the_material_does_not_say_is_not_found():
    assert read("What did the harbour master pay for coal?").findings == []


def test_no_more_findings_than_were_asked_for():
    assert len(read("light", "A light shone there.\n" * 50, max_findings=3).findings) == 3


def test_without_a_question_sentences_are_quoted():
    assert read("", "The keeper wrote a long report on the storm of that year. Yes.").findings


def test_an_answer_uses_what_bears_on_the_question():
    reply: AnswerReply = asked(AnswerPrompt(question="Who kept the light?", shown=SHOWN))
    assert [statement.findings for statement in reply.statements] == [["F1"]]


def test_nothing_shown_is_not_answerable():
    assert not asked(AnswerPrompt(question="Who?", shown=())).answerable


def test_a_digest_keeps_to_its_words():
    reply: ConsolidateReply = asked(ConsolidatePrompt(question="", shown=SHOWN * 10, words=10))
    assert sum(len(statement.text.split()) for statement in reply.statements) <= 10


def test_the_judge_goes_by_whether_anything_was_found():
    assert asked(JudgePrompt(question="Who?", shown=SHOWN)).verdict == "answer"
    assert asked(JudgePrompt(question="Who?", shown=())).verdict == "give_up"


def test_a_plan_is_a_plan():
    reply = asked(PlanPrompt(question="Who kept it?", output="answer", sources=("a",), count=1, chars=9))
    assert isinstance(reply, PlanReply)
    assert isinstance(asked(JudgePrompt(question="Who?", shown=())), JudgeReply)


def test_a_schema_that_is_not_ours_is_refused():
    with pytest.raises(LookupError):
        answer("text", {"properties": {"poem": {}}})
