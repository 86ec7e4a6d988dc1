import json
from collections.abc import Sequence

import pytest

from swarm.errors import Rejected
from swarm.models.base import Model
from swarm.models.extractive import Extractive
from swarm.prompts.replies import Reply
from swarm.prompts.typed import (
    AnswerPrompt,
    ConsolidatePrompt,
    JudgePrompt,
    PlanPrompt,
    Prompt,
    ReadPrompt,
    Shown,
)
from swarm.source import Passage, Span
from swarm.task import Finding, Output, TermStatistics
from swarm.terms import question_terms, terms
from swarm.tokens import o200k


class Corpus:
    """A few texts as one source each, one passage a text, with the statistics that a search would give."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts

    def passages(self) -> tuple[Passage, ...]:
        return tuple(
            Passage(id=n, span=Span(name, 0, len(text)), tokens=o200k(text), cut=9, context=name, text=text)
            for n, (name, text) in enumerate(self.texts.items())
        )

    def statistics(self, question: str) -> TermStatistics:
        bags = [set(terms(f"{name} {text}")) for name, text in self.texts.items()]
        frequency = {word: sum(word in bag for bag in bags) for word in question_terms(question)}
        return TermStatistics(passages=len(bags), mean_tokens=40, frequency=frequency)

    def prompt(self, question: str, output: Output = "answer", most: int = 12) -> ReadPrompt:
        return ReadPrompt(
            question=question,
            output=output,
            passages=self.passages(),
            paths={name: f"{name}.txt" for name in self.texts},
            tokens=sum(p.tokens for p in self.passages()),
            max_findings=most,
            statistics=self.statistics(question),
        )

    async def shown(self, *questions: str) -> tuple[Shown, ...]:
        """What reading for these questions finds, as a judge or the answer is shown it."""
        found: dict[str, Shown] = {}
        for question in questions:
            for one in (await reply(self.prompt(question))).findings:
                name = next(name for name, text in self.texts.items() if one.quote in text)
                start = self.texts[name].index(one.quote)
                evidence = (Span(name, start, start + len(one.quote)),)
                finding = Finding(id=one.claim, claim=one.claim, evidence=evidence, relevance=one.relevance)
                label = f"F{len(found) + 1}"
                shown = Shown(label=label, finding=finding, quotes=(one.quote,), where=f"{name}:1", context=name)
                found.setdefault(one.claim, shown)
        return tuple(found.values())


async def reply(prompt: Prompt[Reply]):
    completion = await Extractive().call(prompt, max_output=4096)
    return prompt.reply.model_validate_json(completion.text)


FILMS = Corpus(
    Billy_Elliot=(
        "Billy Elliot is a British drama film of the year 2000. It was directed by Stephen Daldry. "
        "The music was composed by Stephen Warbeck."
    ),
    Stephen_Warbeck="Stephen Warbeck is an English composer. He was born in Southampton in May 1953.",
    Southampton="Southampton is a port city in Hampshire. Its harbour is among the busiest of the country.",
    Frank_Wildhorn="Frank Wildhorn is an American composer, born in New York in November 1958.",
    The_Harbour="The harbour is a silent film. Nobody remembers who directed it.",
    Gardening="Roses want sun and a soil that holds water. They are cut in spring.",
    Bread="Bread is made of flour, water and salt. It is baked for an hour.",
    Chess="Chess is played by two. Each has sixteen pieces.",
)
QUESTION = "Where was the composer of the film Billy Elliot born?"


def test_it_is_a_model() -> None:
    model: Model = Extractive(window=8_000)
    assert (model.name, model.window, model.selective, model.price.input_usd) == ("extractive", 8_000, True, 0.0)


async def test_what_is_found_is_quoted_word_for_word() -> None:
    found = (await reply(FILMS.prompt(QUESTION))).findings
    assert found
    assert all(any(one.quote in text for text in FILMS.texts.values()) for one in found)
    assert "Billy Elliot" in found[0].quote


async def test_relevance_does_not_depend_on_what_else_is_in_the_slice() -> None:
    alone = Corpus(Billy_Elliot=FILMS.texts["Billy_Elliot"])
    whole = FILMS.prompt(QUESTION)
    part = ReadPrompt(
        question=QUESTION,
        output="answer",
        passages=alone.passages(),
        paths=whole.paths,
        tokens=1,
        max_findings=12,
        statistics=whole.statistics,
    )
    of_part = {one.quote: one.relevance for one in (await reply(part)).findings}
    of_whole = {one.quote: one.relevance for one in (await reply(whole)).findings}
    assert of_part
    assert all(of_whole[quote] == relevance for quote, relevance in of_part.items())


async def test_no_more_is_found_than_was_asked_for() -> None:
    assert len((await reply(FILMS.prompt(QUESTION, most=2))).findings) == 2
    assert len((await reply(FILMS.prompt("", most=3))).findings) == 3


async def test_passages_that_share_no_word_with_the_question_give_nothing() -> None:
    assert (await reply(FILMS.prompt("Which quasars wobble?"))).findings == []


async def test_an_item_of_a_table_that_does_not_say_stays_empty() -> None:
    says = Corpus(Chess=FILMS.texts["Chess"])
    question = "How many pieces has each player in chess?"
    statistics = FILMS.statistics(question)

    def asked(corpus: Corpus) -> ReadPrompt:
        prompt = corpus.prompt(question, output="table")
        return ReadPrompt(**{**vars(prompt), "statistics": statistics})

    assert (await reply(asked(says))).findings
    assert (await reply(asked(Corpus(Bread=FILMS.texts["Bread"])))).findings == []


async def test_the_judge_follows_a_name_that_the_question_does_not_hold() -> None:
    shown = await FILMS.shown(QUESTION)
    statistics = FILMS.statistics(QUESTION)
    judged = await reply(JudgePrompt(question=QUESTION, shown=shown, rounds_left=2, statistics=statistics))
    assert judged.verdict == "follow_up"
    assert len(judged.follow_ups) <= 5
    assert any("Stephen Warbeck" in one and "born" in one for one in judged.follow_ups)
    asked = tuple(judged.follow_ups)
    again = await reply(
        JudgePrompt(question=QUESTION, shown=shown, asked=asked, rounds_left=1, statistics=statistics)
    )
    assert not {*asked, QUESTION} & {*again.follow_ups}


async def test_the_judge_stops_when_no_rounds_are_left_and_when_there_is_nothing() -> None:
    shown = await FILMS.shown(QUESTION)
    done = await reply(JudgePrompt(question=QUESTION, shown=shown, statistics=FILMS.statistics(QUESTION)))
    assert done.verdict == "answer"
    assert (await reply(JudgePrompt(question=QUESTION, shown=(), rounds_left=2))).verdict == "give_up"


async def test_both_steps_of_a_question_are_said() -> None:
    follow_up = "Stephen Warbeck; Stephen Daldry: born"
    shown = await FILMS.shown(QUESTION, follow_up)
    statistics = FILMS.statistics(QUESTION)
    said = await reply(AnswerPrompt(question=QUESTION, shown=shown, asked=(follow_up,), statistics=statistics))
    texts = [statement.text for statement in said.statements]
    assert said.answerable
    assert any("composed by Stephen Warbeck" in text or "Billy Elliot is" in text for text in texts)
    assert any("Southampton in May 1953" in text or "Warbeck is an English composer" in text for text in texts)


async def test_statements_are_sentences_that_were_shown_under_their_labels() -> None:
    shown = await FILMS.shown(QUESTION)
    said = await reply(AnswerPrompt(question=QUESTION, shown=shown, statistics=FILMS.statistics(QUESTION)))
    claims = {one.label: one.finding.claim for one in shown}
    assert said.statements
    assert all(statement.text == claims[statement.findings[0]] for statement in said.statements)


@pytest.mark.parametrize("question", ["Who composed the anthem of Peru?", "Which quasars wobble?"])
async def test_what_is_not_there_is_not_answered(question: str) -> None:
    shown = await FILMS.shown(question)
    said = await reply(AnswerPrompt(question=question, shown=shown, statistics=FILMS.statistics(question)))
    assert (said.answerable, said.short, said.statements) == (False, None, [])


async def test_a_short_answer_is_words_of_a_sentence_of_the_kind_asked_for() -> None:
    question = "When was the composer Stephen Warbeck born?"
    shown = await FILMS.shown(question)
    said = await reply(AnswerPrompt(question=question, shown=shown, statistics=FILMS.statistics(question)))
    assert said.answerable
    assert said.short == "May 1953"


async def test_a_digest_keeps_to_its_length_and_order_and_says_nothing_twice() -> None:
    claims = [
        "The council decided to build the new bridge over the river in spring.",
        "Roses want sun and a soil that holds water through the whole summer.",
        "The new bridge over the river will be built in spring, the council decided.",
        "Its cost is estimated at 4,250,000 euros, which the council of the city has to borrow.",
        "The bridge is to carry trams, and the council expects the first of them in autumn.",
    ]
    prompt = ConsolidatePrompt(question="", shown=as_shown(claims), words=45, final=True)
    said = [statement.text for statement in (await reply(prompt)).statements]
    assert sum(len(text.split()) for text in said) <= 45
    assert said == [claim for claim in claims if claim in said]
    assert len({claims[0], claims[2]} & set(said)) == 1


def as_shown(claims: Sequence[str]) -> tuple[Shown, ...]:
    return tuple(
        Shown(
            label=f"F{number}",
            finding=Finding(id=claim, claim=claim, evidence=(Span("s", 100 * number, 100 * number + 50),)),
            quotes=(claim,),
            where="s.txt:1",
        )
        for number, claim in enumerate(claims)
    )


async def test_a_plan_searches_for_the_question_and_for_each_name_in_it() -> None:
    prompt = PlanPrompt(
        question="Are Mark King and Nick Hexum singers?", output="answer", sources=(), count=0, chars=0
    )
    queries = (await reply(prompt)).queries
    assert queries[0] == prompt.question
    assert {"Mark King", "Nick Hexum"} <= set(queries)
    assert len(queries) <= 5


async def test_material_is_counted_once_and_usage_is_what_was_counted() -> None:
    model, prompt = Extractive(), FILMS.prompt(QUESTION)
    assert model.count(prompt) >= prompt.tokens + o200k(QUESTION)
    completion = await model.call(prompt, max_output=4096)
    assert completion.usage.input_tokens == model.count(prompt)
    assert completion.usage.output_tokens == o200k(completion.text)
    assert json.loads(completion.text)["findings"]


async def test_the_same_prompt_gives_the_same_reply() -> None:
    prompt = FILMS.prompt(QUESTION)
    assert (await Extractive().call(prompt, max_output=4096)) == (await Extractive().call(prompt, max_output=4096))


async def test_a_job_it_cannot_do_is_refused_plainly() -> None:
    class Act(Prompt[Reply]):
        kind = "act"
        reply = Reply

    with pytest.raises(Rejected, match="does not do 'act'"):
        await Extractive().call(Act(question="Fix it"), max_output=100)
