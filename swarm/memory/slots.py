"""One name for an attribute that goes by many: what people say of where they live, what they do and how they can
be reached comes to the same slot, so that the later takes the place of the earlier. For English, and modest:
what is not listed is its own. This module knows words alone.
"""

from __future__ import annotations

import re
from functools import lru_cache

from swarm.graph.identity import name_of

LOCATION, JOB, EMPLOYER, AGE = "location", "job", "employer", "age"
STATUS, PHONE, EMAIL, NAME, BIRTHDAY = "marital status", "phone", "email", "name", "birthday"

_NAMES = {
    LOCATION: """location|residence|place of residence|city|home city|current city|home|lives in|live in|living in|
        moved to|based in|city of residence|current location|where they live|resides in|relocated to""",
    JOB: "job|job title|occupation|profession|position|role|works as|work as|working as|title|current job|career",
    EMPLOYER: "employer|company|workplace|works at|works for|work at|work for|place of work|current employer",
    AGE: "age|years old|is aged|how old",
    STATUS: "marital status|relationship status|married|civil status|relationship",
    PHONE: """phone|phone number|mobile|mobile number|cell|cell number|cell phone|cell phone number|telephone|
        telephone number|mobile phone|mobile phone number|number""",
    EMAIL: "email|e-mail|email address|e-mail address|mail address|mail",
    NAME: "name|full name|is called|called",
    BIRTHDAY: "birthday|date of birth|birth date|birthdate|born on",
}
_SLOT = {
    " ".join(one.split()): slot for slot, many in _NAMES.items() for one in many.replace("\n", " ").split("|")
}
SEVERAL = frozenset(
    """allergic to|prefers|decided|chose|speaks|has|uses|switched to|does not eat|does not drink|does not smoke|
    allergy|allergies|hobby|hobbies|likes|dislikes|language|languages""".replace("\n    ", "").split("|")
)
"""Attributes that may have several values at a time: none takes the place of another."""
_FAVOURITE = re.compile(r"\bfavou?rite\b")
_LEADING = re.compile(r"^(?:current|new|own|present|latest|the|a|an|my|his|her|their|our) ")
_SAID = {
    LOCATION: "{0} lives in {1}",
    JOB: "{0} works as {1}",
    EMPLOYER: "{0} works at {1}",
    AGE: "{0} is {1} years old",
    STATUS: "{0} is {1}",
    NAME: "{0} is called {1}",
    "origin": "{0} is from {1}",
    "childhood home": "{0} grew up in {1}",
    "birthplace": "{0} was born in {1}",
    "year of birth": "{0} was born in {1}",
    "studies": "{0} studies {1}",
    "children": "{0} has {1}",
    "diet": "{0} is {1}",
    "height": "{0} is {1} tall",
    "weight": "{0} weighs {1}",
}
_JOBLESS = frozenset(["retired", "unemployed", "self-employed"])


@lru_cache(maxsize=16_384)
def canonical(attribute: str) -> str:
    """The name of the slot that an attribute belongs to."""
    plain = _FAVOURITE.sub("favourite", name_of(attribute).replace("_", " ")).replace("colour", "color")
    if (slot := _SLOT.get(plain)) is not None:
        return slot
    bare = _LEADING.sub("", plain)
    return _SLOT.get(bare, bare)


def said(subject: str, attribute: str, value: str) -> str:
    """A fact as a sentence."""
    if attribute == "is":
        return f"{subject[:1].upper()}{subject[1:]} is {value}"
    form = _SAID["diet"] if value in _JOBLESS else _SAID.get(attribute)
    return form.format(subject, value) if form else f"{subject}'s {attribute} is {value}"


__all__ = [
    "AGE", "BIRTHDAY", "EMAIL", "EMPLOYER", "JOB", "LOCATION", "NAME", "PHONE", "SEVERAL", "STATUS", "canonical",
    "said",
]  # fmt: skip
