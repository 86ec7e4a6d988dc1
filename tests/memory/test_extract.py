"""Facts in everyday sentences: what people say of themselves is found, and what only looks like it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.memory.extract import drawn
from swarm.memory.memory import Message, open_memory

SAID = [
    ('I live in Lisbon with my wife.', 'Anna', 'location', 'Lisbon'),
    ("I've moved to Porto.", 'Anna', 'location', 'Porto'),
    ('We moved to Berlin last year.', 'Anna', 'location', 'Berlin'),
    ('We live in Oslo.', 'Anna', 'location', 'Oslo'),
    ('I just moved into a flat in Lyon.', 'Anna', 'location', 'Lyon'),
    ("I'm from Ghana.", 'Anna', 'origin', 'Ghana'),
    ('I grew up in Leeds.', 'Anna', 'childhood home', 'Leeds'),
    ('I was born in Warsaw.', 'Anna', 'birthplace', 'Warsaw'),
    ('I was born in 1987.', 'Anna', 'year of birth', '1987'),
    ('My birthday is on June 3rd.', 'Anna', 'birthday', 'June 3rd'),
    ('I work for Siemens.', 'Anna', 'employer', 'Siemens'),
    ('I work at a bakery in Ghent.', 'Anna', 'employer', 'a bakery'),
    ('I started at Google in March.', 'Anna', 'employer', 'Google'),
    ('I started working at Spotify this week.', 'Anna', 'employer', 'Spotify'),
    ('I got a new job at Acme.', 'Anna', 'employer', 'Acme'),
    ("I'm a nurse.", 'Anna', 'job', 'nurse'),
    ('I am a teacher at a primary school.', 'Anna', 'job', 'teacher'),
    ('I work as a barista.', 'Anna', 'job', 'barista'),
    ('I got promoted to senior engineer.', 'Anna', 'job', 'senior engineer'),
    ("I'm retired.", 'Anna', 'job', 'retired'),
    ("I'm studying law at Leiden.", 'Anna', 'studies', 'law at Leiden'),
    ("I'm married.", 'Anna', 'marital status', 'married'),
    ("I'm engaged to Tom.", 'Anna', 'marital status', 'engaged'),
    ('I got divorced in 2020.', 'Anna', 'marital status', 'divorced'),
    ("My wife's name is Clara.", "Anna's wife", 'name', 'Clara'),
    ('My husband is called Tom.', "Anna's husband", 'name', 'Tom'),
    ("I'm married to Clara.", 'Anna', 'marital status', 'married'),
    ('I have two kids.', 'Anna', 'children', 'two kids'),
    ('We have three children.', 'Anna', 'children', 'three children'),
    ('I have a son and a daughter.', 'Anna', 'children', 'a son and a daughter'),
    ('I have a dog named Rex.', "Anna's dog", 'name', 'Rex'),
    ("My dog's name is Rex.", "Anna's dog", 'name', 'Rex'),
    ('My dog is called Rex.', "Anna's dog", 'name', 'Rex'),
    ('We adopted a puppy called Milo.', "Anna's puppy", 'name', 'Milo'),
    ("I'm allergic to peanuts.", 'Anna', 'allergic to', 'peanuts'),
    ('I am allergic to penicillin and cats.', 'Anna', 'allergic to', 'penicillin and cats'),
    ("I'm vegetarian.", 'Anna', 'diet', 'vegetarian'),
    ("I'm a vegan now.", 'Anna', 'diet', 'vegan'),
    ("I'm lactose intolerant.", 'Anna', 'is', 'lactose intolerant'),
    ("I don't eat meat.", 'Anna', 'does not eat', 'meat'),
    ('I prefer tea over coffee.', 'Anna', 'prefers', 'tea over coffee'),
    ('I prefer short answers.', 'Anna', 'prefers', 'short answers'),
    ('I switched from Python to Rust.', 'Anna', 'switched to', 'Rust'),
    ('I use Neovim.', 'Anna', 'uses', 'Neovim'),
    ('I drive a Volvo.', 'Anna', 'has', 'a Volvo'),
    ('We decided to use Postgres.', 'Anna', 'decided', 'use Postgres'),
    ("We've decided to go with the blue logo.", 'Anna', 'decided', 'go with the blue logo'),
    ('We chose Stripe for payments.', 'Anna', 'chose', 'Stripe for payments'),
    ('The deadline is 15 June.', 'The deadline', 'is', '15 June'),
    ('The deadline has moved to Friday.', 'The deadline', 'is', 'Friday'),
    ('The meeting is at 3pm on Tuesday.', 'The meeting', 'is', 'at 3pm on Tuesday'),
    ('My flight is on Friday at 9am.', 'Anna', 'flight', 'on Friday at 9am'),
    ('My number is now 0171 555 123.', 'Anna', 'phone', '0171 555 123'),
    ('My phone number is 555-1234.', 'Anna', 'phone', '555-1234'),
    ('My new email is anna@x.org.', 'Anna', 'email', 'anna@x.org'),
    ('My address is 12 High Street, Leeds.', 'Anna', 'address', '12 High Street, Leeds'),
    ('I speak French and German.', 'Anna', 'speaks', 'French and German'),
    ('My favorite food is sushi.', 'Anna', 'favourite food', 'sushi'),
    ('My favourite band is Radiohead.', 'Anna', 'favourite band', 'Radiohead'),
    ("I'm 34.", 'Anna', 'age', '34'),
    ('I turned 40 yesterday.', 'Anna', 'age', '40'),
    ('My name is Anna.', 'Anna', 'name', 'Anna'),
    ('Call me Annie.', 'Anna', 'name', 'Annie'),
    ('My timezone is CET.', 'Anna', 'timezone', 'CET'),
    ('I go by Annie.', 'Anna', 'name', 'Annie'),
    ('My budget is 2,000 euros.', 'Anna', 'budget', '2,000 euros'),
    ('My blood type is O+.', 'Anna', 'blood type', 'O+'),
    ('My car is a Toyota.', 'Anna', 'car', 'a Toyota'),
    ('My sister lives in Rome.', "Anna's sister", 'location', 'Rome'),
    ('My mother is 70.', "Anna's mother", 'age', '70'),
    ('My boss is Karen.', "Anna's boss", 'name', 'Karen'),
    ('Our office is in Utrecht.', 'The office', 'is', 'in Utrecht'),
    ('The password is hunter2.', 'The password', 'is', 'hunter2'),
    ("I'm left-handed.", 'Anna', 'is', 'left-handed'),
    ("I'm 180 cm tall.", 'Anna', 'height', '180 cm'),
    ('I weigh 70 kg.', 'Anna', 'weight', '70 kg'),
    ('Harry Potter is my favorite book.', 'Anna', 'favourite book', 'Harry Potter'),
]  # fmt: skip
NOT_SAID = [
    'Where do I live?',
    'Do I live in Rome or in Oslo?',
    "If I moved to Rome, I'd be happier.",
    'If my boss agrees, I work from Lisbon.',
    'Suppose I live in Oslo.',
    "Let's say I'm 34 and I live in Paris.",
    'Imagine I work at Google.',
    'When I was a kid, I lived in Bonn.',
    'When I was ten, we moved to Kiel.',
    'I used to live in Madrid.',
    'I used to work at Acme.',
    'I used to have two dogs named Rex and Max.',
    'I wish I lived in Lisbon.',
    'I wish my name was Bob.',
    'I want to live in Tokyo.',
    "I'd like to move to Rome.",
    'I would have moved to Rome.',
    'I almost moved to Berlin.',
    'I never lived in Rome.',
    "I don't live in Rome.",
    "I don't work at Acme anymore.",
    'I no longer work for Siemens.',
    "I'm not married.",
    "I'm not allergic to nuts.",
    "I'm not from Spain.",
    "I'm not a doctor.",
    "I haven't moved to Oslo yet.",
    'She said "I live in Rome".',
    'He told me: my number is 555-1234.',
    'Tom says I live in a dream.',
    'Bob: I live in Rome.',
    '> I live in Rome.',
    'Translate this: I live in Rome.',
    'Please translate into French:\nI live in Rome. My name is Anna.',
    'Rewrite this: My name is Bob and I work at Acme.',
    'In the movie I live in Rome with dragons.',
    'In my dream I live in Oslo.',
    'I live on Mars, just kidding.',
    "I'm 200 years old. Just kidding!",
    'Yeah right, I live in Buckingham Palace.',
    'I think my flight is on Friday.',
    'I guess my number is 555.',
    "Maybe I'm allergic to peanuts.",
    'I might be allergic to peanuts.',
    "I'm probably allergic to cats.",
    "I'm thinking of moving to Porto.",
    "I'm going to move to Porto.",
    'I will move to Porto in June.',
    'We have not decided on the logo.',
    "We haven't decided to use Postgres.",
    "I'd prefer tea.",
    'Would I prefer tea?',
    "Pretend I'm a pirate and my name is Jack.",
    'Can you write a story where I live in Rome?',
    'Assume my budget is 500 euros.',
    'For example, my favourite colour is green.',
    'What if I live in Rome?',
    'I have two questions.',
    "I'm from the support team.",
    'I use it every day.',
    'I moved to the next item.',
    'I started at the beginning.',
    'I work at the moment on a novel.',
    'I live for this!',
    "I'm single-minded about it.",
    'My point is that it rains.',
    'My guess is Friday.',
    "I'm a big fan of Rome.",
    'My favourite is Rome, said Tom.',
    'According to Bob, I live in Rome.',
    'The song goes "My name is Luka".',
    '```\nMy name is Bob\n```',
    "I don't eat much.",
    "I don't drink enough water.",
    'I never smoke in here.',
    'I switched from laughing to crying.',
    'Call me Monday.',
    'I speak when I want.',
    'I grew up in the nineties.',
    "I'm studying for the exam.",
    'I was married once.',
    'I heard Bob moved to Berlin.',
    'Did Bob move to Berlin?',
    'Tom thinks Bob lives in Rome.',
    "I have a son's bike.",
    "I'm engaged in a Debate.",
    "I'm 5 minutes late.",
    'I am 3 hours behind Berlin.',
    "Once I work for Siemens, I'll be rich.",
    "Say I'm allergic to nuts. What then?",
    'In the poem my name is Ozymandias.',
    "I'm married to my job, lol.",
    'My name is what?',
    "I have one child's ticket and one adult's.",
    'We agreed to disagree.',
    'My sister is so annoying.',
    'My brother is an idiot.',
    'I dreamt that I moved to Rome.',
    'You live in Rome.',
    'I asked whether I live in Rome.',
    'As if I live in Rome.',
    'He asked me, my name is Tom, is it?',
    'I live in fear.',
    'I moved to a new flat.',
    'I own a problem with Bob.',
]  # fmt: skip


def told(text: str) -> list[tuple[str, str, str]]:
    message = Message(role="user", text=text, name="Anna", at="2026-05-08")
    return [(one.subject, one.attribute, one.value) for one in drawn(message)]


@pytest.mark.parametrize(("text", "subject", "attribute", "value"), SAID)
def test_what_people_say_of_themselves_is_found(text: str, subject: str, attribute: str, value: str) -> None:
    assert told(text) == [(subject, attribute, value)]
    assert told(f"Hi there! {text} How are you?") == [(subject, attribute, value)]


@pytest.mark.parametrize("text", NOT_SAID)
def test_what_is_asked_wished_supposed_quoted_or_denied_is_no_fact(text: str) -> None:
    assert told(text) == []
    assert told(f"Hi there! {text}") == [] or ":" in text


@pytest.mark.parametrize("text", [text for text, *_ in SAID])
def test_what_is_said_only_in_a_condition_a_quote_or_a_text_to_be_worked_on_is_no_fact(text: str) -> None:
    said = text.rstrip(".")
    for form in (
        'She wrote to me: "{}."', "If {}, that is fine.", "{}?", "Bob: {}.", "> {}.", "```\n{}.\n```",
        "Tom said that {}.", "{}, just kidding.", "Translate this into German: {}.", "Suppose {}.",
        "In the movie {}.", "I think {}.",
    ):  # fmt: skip
        assert told(form.format(said)) == [], form


@pytest.mark.parametrize(
    ("first", "then", "now"),
    [
        ("I live in Rome.", "We moved to Oslo.", "Oslo"),
        ("I live in Rome.", "I moved from Rome to Oslo.", "Oslo"),
        ("I work at Acme.", "I just joined Globex.", "Globex"),
        ("I work at a bakery.", "I got a new job at Globex.", "Globex"),
        ("I'm a nurse.", "I'm retired now.", "retired"),
        ("I'm single.", "I got married in May.", "married"),
        ("My phone number is 555-1234.", "My number is now 555-9999.", "555-9999"),
        ("The deadline is 15 June.", "The deadline has moved to 20 June.", "20 June"),
        ("The deadline is 15 June.", "Our deadline was pushed to Friday.", "Friday"),
        ("My dog's name is Rex.", "My dog is called Max.", "Max"),
        ("My favourite book is Dune.", "Emma is now my favorite book.", "Emma"),
        ("I'm vegetarian.", "I'm a vegan now.", "vegan"),
        ("We have two kids.", "I have three children.", "three children"),
        ("My sister lives in Rome.", "My sister just moved to Ulm.", "Ulm"),
        (
            "The meeting is at 3pm on 5 June 2027.",
            "The meeting is at 4pm on 1 June 2027.",
            "at 4pm on 1 June 2027",
        ),
        ("The wedding is on 3 May 2027.", "The wedding has moved to 2 May 2027.", "2 May 2027"),
        ("I live in Rome since 2030.", "I moved to Oslo.", "Oslo"),
        ("My flight is at 9.", "My flight was rescheduled to 11.", "11"),
    ],
)
async def test_what_is_said_later_in_other_words_takes_the_place_of_what_was_said(
    store: Path, first: str, then: str, now: str
) -> None:
    async with open_memory("a", store=store) as memory:
        said = [Message(role="user", text=text, at=f"2026-05-0{day}") for day, text in enumerate((first, then), 1)]
        await memory.remember(said)
        (fact,) = memory.facts()
        assert fact.value == now
        assert len(memory.history(fact)) == 2


async def test_what_there_may_be_several_of_stays(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        for text in (
            "I'm allergic to nuts.", "I'm allergic to cats.", "I have a dog named Rex.",
            "I have a dog called Max.",
            "We decided to use Postgres.", "We decided to go with the blue logo.", "My mother is 70.",
            "My mother is called Clara.",
        ):  # fmt: skip
            await memory.remember([("user", text)])
        assert len(memory.facts()) == 8
        text = (await memory.view("What is the user allergic to? nuts cats", recent=0)).text
        assert "user is allergic to nuts" in text
        assert "user is allergic to cats" in text
        for _ in range(3):
            await memory.remember([("user", "By the way, I'm allergic to nuts.")])
        assert [one.value for one in memory.facts() if one.attribute == "allergic to"] == ["nuts", "cats"]
        await memory.add_fact("x", subject="user", attribute="allergic to", value="milk")
        (nuts,) = [one for one in memory.facts() if one.value == "nuts"]
        await memory.retire(nuts.id, "it was a mistake")
        assert {one.value for one in memory.facts() if one.attribute == "allergic to"} == {"milk", "cats"}


@pytest.mark.parametrize("label", ["Update", "Good news", "One more thing", "message 12", "FYI", "Anna"])
def test_a_label_before_a_fact_is_no_other_speaker(label: str) -> None:
    assert told(f"{label}: I live in Rome.") == [("Anna", "location", "Rome")]


@pytest.mark.parametrize("label", ["Bob", "Bob Smith", "user", "assistant"])
def test_a_line_of_a_transcript_is_what_its_speaker_says(label: str) -> None:
    assert told(f"Hi.\n{label}: I live in Rome.\n{label}: My name is Bob.") == []


def test_a_form_with_braces_in_it_is_text_like_any_other() -> None:
    assert told("I switched from {who} to {value}.") == [("Anna", "switched to", "{value}")]
    (fact,) = drawn(Message(role="user", text="I switched from {0} to {1}.", name="A{n}na"))
    assert fact.text == "A{n}na switched from {0} to {1}"
