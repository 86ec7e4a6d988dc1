import json

from hypothesis import given
from hypothesis import strategies as st

from swarm.models.extractive.records import csv_units, json_units, looks_like_json
from swarm.models.extractive.units import units

PUNCTUATION = ('"', "{", "}", '",', '":')
LINE = json.dumps(
    {"id": "a1", "title": "Paris", "text": 'Paris is a city. He said "no" to Dr. J. Smith.\nIt is old.'}
)


def test_string_values_are_quoted_raw_and_read_unescaped() -> None:
    found = json_units(LINE)
    assert [unit.text for unit in found] == [
        "Paris is a city.",
        'He said "no" to Dr. J. Smith.',
        "It is old.",
    ]
    assert [LINE[unit.start : unit.end] for unit in found] == [
        "Paris is a city.",
        r"He said \"no\" to Dr. J. Smith.",
        "It is old.",
    ]
    assert {unit.title for unit in found} == {"Paris"}


def test_punctuation_of_the_format_is_never_quoted_with_prose() -> None:
    for unit in json_units("\n".join([LINE] * 3)):
        quote = LINE[unit.start % (len(LINE) + 1) :][: unit.end - unit.start]
        assert not quote.startswith(PUNCTUATION)
        assert not quote.endswith(PUNCTUATION)


def test_each_record_has_its_own_title_also_when_it_comes_last() -> None:
    text = (
        json.dumps({"text": "The tower stands in the middle of the old town, by the river.", "title": "Tower"})
        + "\n"
        + json.dumps({"text": "The bridge leads over the river to the other half of the town.", "title": "Bridge"})
    )
    assert [unit.title for unit in json_units(text)] == ["Tower", "Bridge"]


def test_an_array_that_is_indented_reads_like_lines() -> None:
    text = json.dumps(
        [{"name": "Ann", "notes": "Ann came in May. She left in June, to everybody's regret."}], indent=2
    )
    assert [(unit.title, unit.text) for unit in json_units(text)] == [
        ("Ann", "Ann came in May."),
        ("Ann", "She left in June, to everybody's regret."),
    ]


def test_who_spoke_and_when_places_what_was_said() -> None:
    text = json.dumps({"speaker": "Caroline", "time": "8 May 2023", "text": "I went there yesterday."})
    (unit,) = json_units(text)
    assert (unit.title, unit.time, unit.text) == ("Caroline", "8 May 2023", "I went there yesterday.")


def test_a_record_of_fields_is_quoted_as_a_whole() -> None:
    text = '{"city": "Rome", "population": 2800000}'
    (unit,) = json_units(text)
    assert unit.text == "city: Rome; population: 2800000"
    assert text[unit.start : unit.end] == 'city": "Rome", "population": 2800000'


def test_a_passage_that_begins_or_ends_in_a_string_reads_as_prose() -> None:
    begins = 'went on for years. Then it ended."}\n' + LINE
    assert [unit.text for unit in json_units(begins)][:2] == ["went on for years.", "Then it ended."]
    ends = '{"title": "Siege", "text": "The siege began in 1761 with 24 guns. It went on for'
    assert [unit.text for unit in json_units(ends)] == ["The siege began in 1761 with 24 guns.", "It went on for"]


def test_prose_is_not_taken_for_records() -> None:
    assert not looks_like_json("notes.txt", '"Quoted," she said, and left.')
    assert not looks_like_json("notes.txt", "Plain: text")
    assert looks_like_json("-", '{"a": 1}')


@given(
    st.lists(
        st.fixed_dictionaries(
            {"title": st.text(max_size=20), "text": st.text(max_size=200)}, optional={"year": st.integers()}
        ),
        max_size=4,
    ),
    st.booleans(),
    st.integers(0, 40),
)
def test_any_json_cut_anywhere_gives_units_inside_the_text(records: list[object], plain: bool, cut: int) -> None:
    text = "\n".join(json.dumps(record, ensure_ascii=plain) for record in records)[cut:]
    for unit in units(text, "x.jsonl"):
        assert 0 <= unit.start < unit.end <= len(text)
        assert unit.text


@given(st.text(alphabet='aé漢"\\\n. Z😀', max_size=300))
def test_what_is_read_is_what_the_quoted_stretch_stands_for(value: str) -> None:
    text = json.dumps({"text": value})
    for unit in units(text, "x.jsonl"):
        assert " ".join(json.loads(f'"{text[unit.start : unit.end]}"').split()) == unit.text


def test_rows_are_quoted_raw_and_read_with_their_columns() -> None:
    text = 'name,born\n"Lovelace, Ada",1815\n'
    (unit,) = csv_units(text, "name,born", ",")
    assert unit.text == "name: Lovelace, Ada; born: 1815"
    assert text[unit.start : unit.end] == '"Lovelace, Ada",1815'
