"""Facts in a message, by its words: a pure function of who says what and when, with no language model.

Found is what people say of themselves and of others in a few forms (where somebody lives, what they do, how old
they are, "my X is Y", "Bob's X is Y", "the X is Y"), in English. Questions, conditions and wishes are no facts.
What it does not find is not lost: the message is there. It is made to be right rather than to find much.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from swarm.memory import slots
from swarm.memory.forms import BEING, CALLING, NOT_DOING, OWN, THEIRS, WORKPLACE, Form
from swarm.memory.messages import Message, moment
from swarm.memory.parts import Drawn
from swarm.memory.slots import AGE, BIRTHDAY, EMPLOYER, JOB, LOCATION, NAME, STATUS, canonical, said
from swarm.memory.spoken_times import told_time

MOST = 40
"""Facts that are drawn from one message."""
_CHARS = 20_000
"""Characters of a message that are looked at: what is longer is a document, and not what somebody tells."""
_SENTENCE = re.compile(r"[^.!?\n;]+(?:\.(?=\S)[^.!?\n;]*)*[.!?;]?")
_LONGEST = 400
_UNSURE = re.compile(
    r"^(?:if|when|whenever|unless|would|could|should|maybe|perhaps|suppose|supposing|assum\w+|imagine|say|what|"
    r"who|where|why|how|do|does|did|is|are|was|were|can|will|let's|wish)\b|"
    r"\b(?:if i|if you|might|(?-i:may)|would like|would love|want to|wanted to|hope to|hoping|wish|as if|"
    r"pretend\w*|"
    r"i think|i guess|dreamt|dreamed|almost|nearly|hardly|barely|never|not|no longer|nor|neither|used to|about to|"
    r"supposed to|thinking (?:of|about)|considering|planning|plan to|going to|(?-i:will)|in theory|probably|"
    r"possibly|"
    r"hypothetically|for example|for instance|let's say|i'm told)\b|n[’']t\b|\be\.g\.|\bi[’']d\b",
    re.IGNORECASE,
)
_REPORTED = re.compile(
    r"\b(?:said|says|told|tells|wrote|writes|asked|asks|claim(?:s|ed)?|thinks?|thought|believe[sd]?|heard|"
    r"read that|according to|lyrics?|"
    r"in (?:the|a|my|this|his|her) (?:movie|book|novel|song|story|film|game|dream|poem|play))\b",
    re.IGNORECASE,
)
"""Somebody else's words, or somebody else's world."""
_OTHER_WORLD = re.compile(
    r"^\W*(?:so |and |but |well,? |okay,? |ok,? )*(?:if|unless|suppose|supposing|assum\w+|imagine|let's say|say|"
    r"when(?:ever)?|once|what if|as a (?:kid|child|teenager|student)|back (?:then|when)|in those days|wish|"
    r"pretend|"
    r"for (?:example|instance)|in theory|hypothetically)\b",
    re.IGNORECASE,
)
"""What begins so is not so, or was so once."""
_NOT_MEANT = re.compile(
    r"\b(?:kidding|jk|joking|sarcas\w*|role-?play\w*|hypothetical\w*|fictional|yeah,? right)\b|(?<!\S)/s(?!\S)|"
    r"^\W*(?:please |can you |could you |now )*(?:translate|rewrite|rephrase|paraphrase|proofread|summari[sz]e|"
    r"correct|pretend|imagine|act as|let's (?:play|pretend))\b",
    re.IGNORECASE,
)
"""A message with this in it says nothing of who sends it."""
_QUOTED = re.compile(
    r"```.*?(?:```|\Z)|\"[^\"\n]{2,400}\"|“[^”\n]{2,400}”|«[^»\n]{2,400}»|(?<!\w)'[^'\n]{2,400}'(?!\w)|"
    r"^[ \t]*>[^\n]*|^(?:user|assistant|human|ai|customer|agent|client|patient|speaker \w+): [^\n]*|"
    r"^(?!(?:update|fyi|btw|note|ps|p\.s\.?|edit|correction|also|hi|hey|hello|reminder|news|good news|important|"
    r"context|background|question|answer|info|fact|facts|listen|look|ok|okay|me): )"
    r"(?-i:[A-Z][\w.'’-]*(?: [A-Z][\w.'’-]*){0,2}): [^\n]*",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
"""What was written elsewhere: in quotes, behind a bracket, in a block, behind the name of who said it."""
_END = re.compile(
    r"\s*(?:,\s*(?:and|but|which|where|who|so|because|since|though|although|while|after|before|when|with|not|"
    r"right|"
    r"you|i|we|it|he|she|they)\b.*"
    r"|\s(?:and|but)\s+(?:i|my|we|our|he|she|it|they|his|her|their|the|it's|i'm|that|then|now|so|have|has|am|"
    r"is|was|"
    r"love|really|just|also)\b.*"
    r"|\s(?:because|although|though|whereas|so that|so i|which|where|while|after|before|until|unless|when)\b.*"
    r"|\s[–—-]\s.*|\s*\(.*|:\s.*)$",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"(?:\s*,)?\s*\b(?:now|currently|these days|at the moment|actually|too|as well|again|though|already|right now|"
    r"anymore|instead|btw|by the way|haha|lol|today|as of|from now on|tonight|recently|"
    r"this (?:week|month|year|morning|spring|summer|autumn|fall|winter)|finally|also|for now)$|[\s,:\"'”’]+$",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^(?:now |currently |actually |just |already |finally |also |called |still |recently )+", re.IGNORECASE
)

_MINE = re.compile(r"\b(?:[Ii]|[Ww]e|[Mm]y|me)\b")
"""In what somebody says of themselves; a look that spares most others the forms."""
_CUTS = {
    JOB: re.compile(r" (?:for|at|in|with|by) "),
    EMPLOYER: re.compile(r" (?:as|in|since|for) "),
    LOCATION: re.compile(r" (?:with|for|since|alone|together)\b"),
    "origin": re.compile(r" (?:and|but)\b"),
}
"""Where what somebody does goes over into where, and the other way round."""
_SINGLE = frozenset([LOCATION, JOB, EMPLOYER, AGE, STATUS, NAME, slots.PHONE, slots.EMAIL, BIRTHDAY])
_TELLS = re.compile(r"\d|\b[A-Z]|@|[^\x00-\x7f]{2}|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b")
"""A name or a number: else "my X is Y" is what somebody thinks of it, more often than a fact."""
_DAY = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|tomorrow|today|later|back|crazy|maybe", re.IGNORECASE
)
_STATES = frozenset([LOCATION, JOB, EMPLOYER, STATUS, AGE, "studies", "diet"])
"""What holds from a day on; the day of a meeting is a part of what is said of it."""
_OUR = re.compile(r"^[Oo]ur ")
_OF_BEINGS = (
    (AGE, re.compile(r"(?P<value>\d{1,3})(?: years? old)?")),
    (NAME, re.compile(r"(?:named )?(?P<value>[A-Z][\w'’-]*(?: [A-Z][\w'’-]*){0,2})")),
    (LOCATION, re.compile(r"in (?P<value>[A-Z].*)")),
    ("origin", re.compile(r"from (?P<value>[A-Z].*)")),
    (STATUS, re.compile(r"(?P<value>single|married|engaged|divorced|widowed)")),
    (JOB, CALLING),
)
"""What "my sister is Y" may say: any other Y is what somebody thinks of her."""
_NOT_A_NAME = frozenset(
    """
    i it he she they we you this that there here what who my your his her their our its everyone everybody someone
    something everything nothing nobody today tomorrow yesterday which one mine life
    """.split()
)
_VAGUE = frozenset(
    """
    it that this there here favourite favorite good great fine ok okay nice bad sorry sure happy sad tired
    thing things one way point problem issue idea question reason best only same plan thought bit lot kind sort
    guess estimate bet hope fear impression opinion understanding prediction
    weather temperature traffic answer first second next last news rest
    """.split()
)
_WEAK = re.compile(
    r"^(?:so|very|really|too|pretty|quite|always|going|getting|trying|about to|still|just|all|more|such|like|"
    r"because|that|what|how|why|where|when|to|being|doing|making|having|here|there|gonna|my|"
    r"your|our|one of|[a-z]+ing)\b",
    re.IGNORECASE,
)


def drawn(message: Message) -> Iterator[Drawn]:
    """The facts that a message states. Only of people: what a model, a tool or a system says without a name is
    none of theirs."""
    if not message.name and message.role != "user":
        return
    if _NOT_MEANT.search(message.text[:_CHARS]):
        return
    speaker = message.name or message.role
    quoted = [
        found.span()
        for found in _QUOTED.finditer(message.text, 0, _CHARS)
        if not found[0].casefold().startswith(f"{speaker.casefold()}:")
    ]
    seen: set[tuple[str, str, str]] = set()
    for found in _SENTENCE.finditer(message.text, 0, _CHARS):
        sentence = found[0].strip()
        if not 6 <= len(sentence) <= _LONGEST or sentence.endswith("?"):
            continue
        start = found.start() + found[0].index(sentence)
        for fact in _in_sentence(sentence, speaker, start, message.at):
            key = (fact.subject, fact.attribute, fact.value)
            if key not in seen and not any(low <= fact.start < high for low, high in quoted):
                seen.add(key)
                yield fact
        if len(seen) >= MOST:
            return


def _in_sentence(sentence: str, speaker: str, start: int, at: str | None) -> Iterator[Drawn]:
    """The facts of a sentence: of each of its clauses at the most one."""
    if _OTHER_WORLD.match(sentence):
        return
    for offset, clause in _clauses(sentence):
        end = offset + len(clause)
        if _REPORTED.search(sentence[:end]):
            return
        fact = _in_clause(clause, speaker)
        if fact is None:
            continue
        when, value = "", fact.value
        if fact.text or fact.attribute in _STATES:
            when, value = told_time(clause, fact.value, at)
            if when > (moment(at) or when)[: len(when)]:
                when = ""  # what is to come holds from when it is said
        if value:
            text = fact.text.format(value=value) if fact.text else said(fact.subject, fact.attribute, value)
            yield Drawn(
                text=text, subject=fact.subject, attribute=fact.attribute, value=value, at=when,
                start=start + offset, end=start + end, single=not fact.text,
            )  # fmt: skip


class _Told(NamedTuple):
    """What a clause tells. `text` is empty where there is one value at a time; else a form for the value."""

    subject: str
    attribute: str
    value: str
    text: str = ""


_JOIN = re.compile(
    r"(?:,\s+|\s+)(?:and|but)\s+(?=(?:I|i|my|My|he|she|[A-Z]\w+)(?:'m|’m|'ve)? )|,\s+(?=(?:I|my) )|;\s+"
)


def _clauses(sentence: str) -> Iterator[tuple[int, str]]:
    at = 0
    for join in _JOIN.finditer(sentence):
        yield at, sentence[at : join.start()]
        at = join.end()
    yield at, sentence[at:]


def _in_clause(clause: str, speaker: str) -> _Told | None:
    plain = " ".join(clause.rstrip(" .!;,").split())
    if not plain:
        return None
    sure = not _UNSURE.search(_END.sub("", plain))
    for form in () if not _MINE.search(plain) else OWN if sure else NOT_DOING:
        if match := form.form.match(plain):
            return _own(match, form, speaker)
    for form in THEIRS if sure else ():
        if (match := form.form.match(plain)) and (found := _theirs(match, form.attribute)) is not None:
            return found
    return None


def _own(match: re.Match[str], form: Form, speaker: str) -> _Told | None:
    value, named = _value(match["value"]), match.groupdict()
    if not form.attribute:
        return _of_mine(" ".join(match["what"].split()), value, speaker)
    attribute = form.attribute.format(**named)
    value = _CUTS[attribute].split(value)[0] if attribute in _CUTS else value
    if not _holds(attribute, value, known=True):
        return None
    text = form.text.format(**{one: _kept(told) for one, told in named.items() if told} | {
        "who": _kept(speaker), "value": "{value}"
    })  # fmt: skip
    owned = named.get("kin") or named.get("pet")
    return _Told(f"{speaker}'s {owned}" if owned else speaker, attribute, value, text)


def _kept(text: str) -> str:
    """A text that stands in a form as it is."""
    return " ".join(text.split()).replace("{", "{{").replace("}", "}}")


def _of_mine(what: str, value: str, speaker: str) -> _Told | None:
    """What "my X is Y" tells: of somebody, what kind of thing Y is."""
    if BEING.fullmatch(what):
        return _of_being(f"{speaker}'s {what}", value)
    if canonical(what) == BIRTHDAY:
        value = value.removeprefix("on ")
    if not _is_attribute(what) or not _holds(what, value):
        return None
    owner, of, inner = what.replace("’", "'").partition("'s ")
    if of:
        return _Told(f"{speaker}'s {owner}", canonical(inner), value)
    return _Told(speaker, canonical(what), value)


def _of_being(who: str, value: str) -> _Told | None:
    for kind, form in _OF_BEINGS:
        if (found := form.fullmatch(value)) and _holds(kind, found["value"], known=True):
            return _Told(who, kind, found["value"])
    return None


def _theirs(match: re.Match[str], attribute: str) -> _Told | None:
    who = _OUR.sub("The ", match["who"].replace("’", "'").removesuffix("'s"))
    if who.split()[0].casefold() in _NOT_A_NAME or who.split()[-1].casefold() in _VAGUE:
        return None
    value = _value(match["value"])
    what = attribute or match["what"]
    value = _CUTS[attribute].split(value)[0] if attribute in _CUTS else value
    if (not attribute and not _is_attribute(what)) or not _holds(what, value):
        return None
    return _Told(who, attribute or canonical(what), value)


def _is_attribute(what: str) -> bool:
    words = what.split()
    return 1 <= len(words) <= 5 and words[-1].casefold() not in _VAGUE and words[0].casefold() not in _NOT_A_NAME


def _holds(attribute: str, value: str, *, known: bool = False) -> bool:
    """Whether what stands where a value should is one. `known`: the form says which attribute it is."""
    if not value or len(value) > 90 or len(value.split()) > 10:
        return False
    if attribute == AGE:
        return value.isdecimal() and 0 < int(value[:9]) < 130
    if attribute == NAME and _DAY.fullmatch(value):
        return False
    if attribute in (LOCATION, EMPLOYER, NAME):
        named = any(word[:1].isupper() or word[:1].isdigit() for word in value.split())
        return named or (attribute == EMPLOYER and WORKPLACE.fullmatch(value) is not None)
    if _WEAK.match(value) or value.casefold() in _VAGUE:
        return False
    known = known or attribute.startswith(("favourite", "favorite")) or canonical(attribute) in _SINGLE
    return known or _TELLS.search(value) is not None


def _value(text: str) -> str:
    """A value without what follows it in the sentence, and without fillers."""
    value = _END.sub("", text).strip()
    while (shorter := _FILLER.sub("", value)) != value:
        value = shorter
    return _LEAD.sub("", value).strip(" ,\"'“”‘’*_`")


__all__ = ["MOST", "drawn"]
