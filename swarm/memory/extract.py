"""Facts in a message, by its words: a pure function of who says what and when, with no language model.

Found is what people say of themselves and of others in a few forms (where somebody lives, what they do, how old
they are, "my X is Y", "Bob's X is Y", "the X is Y"), in English. Questions, conditions and wishes are no facts.
What it does not find is not lost: the message is there. It is made to be right rather than to find much.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from swarm.memory import slots
from swarm.memory.messages import Message
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
    r"^(?:if|when|whenever|unless|would|could|should|maybe|perhaps|suppose|imagine|what|who|where|why|how|do|does|"
    r"did|is|are|was|were|can|will|let's|wish)\b|\b(?:if i|if you|might|would like|would love|want to|wanted to|"
    r"hope to|wish|as if|pretend|i think i|dreamt|dreamed|almost|nearly|never|not|n't|no longer)\b",
    re.IGNORECASE,
)
_END = re.compile(
    r"\s*(?:,\s*(?:and|but|which|where|who|so|because|since|though|although|while|after|before|when|with|not|right|"
    r"you|i|we|it|he|she|they)\b.*"
    r"|\s(?:and|but)\s+(?:i|my|we|our|he|she|it|they|his|her|their|the|it's|i'm|that|then|now|so|have|has|am|is|was|"
    r"love|really|just|also)\b.*"
    r"|\s(?:because|although|though|whereas|so that|so i|which|where|while|after|before|until|unless|when)\b.*"
    r"|\s[–—-]\s.*|\s*\(.*|:\s.*)$",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"(?:\s*,)?\s*\b(?:now|currently|these days|at the moment|actually|too|as well|again|though|already|right now|"
    r"anymore|instead|btw|by the way|haha|lol|today|as of|from now on|finally|also|for now)$|[\s,:\"'”’]+$",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^(?:now |currently |actually |just |already |finally |also |called |still |recently )+", re.IGNORECASE
)

_I = r"(?:I|i)"
_AM = rf"(?:{_I}(?:'|’)?m|{_I} am)"
_NOW = r"(?:now |currently |just |recently |actually |finally |already |also |still |both )*"
_HAVE = rf"(?:{_I}(?:'|’)ve |{_I} have |{_I} )"
_NAME = r"(?P<who>[A-Z][\w'’-]*(?: [A-Z][\w'’-]*){0,2})"
_V = r"(?P<value>.+)"
_STATUS = r"(?P<value>single|married|engaged|divorced|widowed|separated)"


@dataclass(frozen=True, slots=True)
class _Form:
    """A way to say a fact. `attribute` is that of its slot; one that the words name stands in the group `what`."""

    form: re.Pattern[str]
    attribute: str = ""


def _forms(*given: tuple[str, str]) -> tuple[_Form, ...]:
    lead = (
        r"(?:^|.*?[,:] |.*?\b(?:and|but|so|that|since) |(?:hey|hi|hello|well|yes|yeah|oh|ok|okay|btw|ps|so)[,!]? )"
    )
    return tuple(_Form(re.compile(f"{lead}{form}$"), attribute) for form, attribute in given)


_LIVE = rf"{_I} (?:now |currently |still )?live|{_HAVE}been living|{_AM} {_NOW}living|{_AM} {_NOW}based"
_MOVED = r"(?:moved|relocated)(?: back| over| here| out| house)? to"
_TOOK = rf"{_HAVE}{_NOW}(?:got|took|found|landed|accepted) a (?:new )?(?:job|position|role)"
_BECAME = rf"{_HAVE}{_NOW}(?:became|become|been promoted to|was promoted to|got promoted to)"
_JOINED = (
    rf"{_HAVE}{_NOW}(?:joined|started at|started working at|started working for|got a (?:new )?job at|"
    r"began working (?:at|for)|switched jobs to)"
)
_DOES = r"(?:er|or|ist|ian|ant|ent|yst|nurse|chef|head|lead|chief|officer)"
_CALLINGS = (
    "engineer teacher nurse doctor lawyer developer designer manager accountant architect artist student writer "
    "scientist researcher chef pilot journalist consultant programmer analyst librarian musician photographer "
    "electrician plumber carpenter baker barista counselor therapist dentist vet pharmacist professor paramedic "
    "firefighter translator editor director entrepreneur freelancer"
).replace(" ", "|")
_IS = r"(?: is now| are now| is currently| has changed to| changed to| is| are)"
_YEARS = r"(?P<value>\d{1,3})(?: years? old| years of age)?"
_THEN = r"(?: (?:today|yesterday|now|last \w+|this \w+|on .+|in .+))?"
_OWN = _forms(
    (rf"(?:{_LIVE}) (?:in|at) {_V}", LOCATION),
    (rf"{_HAVE}{_NOW}{_MOVED} (?!the next|another|a new){_V}", LOCATION),
    (rf"(?:{_I} {_NOW}work|{_AM} {_NOW}working|{_HAVE}{_NOW}(?:started|began)(?: working| work)?|{_TOOK}) as "
     rf"(?:an? |the )?{_V}", JOB),
    (rf"{_BECAME} (?:an? |the )?(?P<value>[\w -]*{_DOES}(?: (?:at|of|for|in) .+)?)", JOB),
    (rf"{_AM} {_NOW}(?:an? )(?P<value>(?:[\w-]+ ){{0,3}}?(?:{_CALLINGS}))", JOB),
    (rf"(?:{_I} {_NOW}work|{_AM} {_NOW}working|{_AM} {_NOW}employed) (?:at|for|by) {_V}", EMPLOYER),
    (rf"{_JOINED} (?P<value>(?:the )?[A-Z].*)", EMPLOYER),
    (rf"(?:{_AM} {_NOW}|{_HAVE}{_NOW}turned ){_YEARS}{_THEN}", AGE),
    (rf"(?:{_AM} {_NOW}|{_HAVE}{_NOW}(?:got|gotten) ){_STATUS}"
     r"(?: (?:to|now|again|in|on|last|since|with|for)\b.*)?", STATUS),
    (rf"(?:[Mm]y name is|[Mm]y name's|{_AM} called|(?:[Pp]lease )?[Cc]all me) {_V}", NAME),
    (rf"{_I} was born on {_V}", BIRTHDAY),
    (rf"[Mm]y (?P<what>(?!name\b)[\w'’ -]{{2,40}}?){_IS} (?:now |currently )?{_V}", ""),
)  # fmt: skip
_THEIRS = _forms(
    (rf"{_NAME} (?:now |currently |still )?(?:lives|is (?:now )?(?:living|based)|resides) (?:in|at) {_V}",
     LOCATION),
    (rf"{_NAME} (?:has )?{_NOW}(?:moved|relocated)(?: back| over| out)? to {_V}", LOCATION),
    (rf"{_NAME} (?:{_NOW}works|is {_NOW}working|started(?: working)?) as (?:an? |the )?{_V}", JOB),
    (rf"{_NAME} (?:{_NOW}works|is {_NOW}working|is employed) (?:at|for|by) {_V}", EMPLOYER),
    (rf"{_NAME} (?:has )?{_NOW}joined (?P<value>(?:the )?[A-Z].*)", EMPLOYER),
    (rf"{_NAME} (?:is {_NOW}|(?:has )?(?:just )?turned )(?P<value>\d{{1,3}})(?: years? old)?", AGE),
    (rf"{_NAME} (?:is {_NOW}|(?:has )?(?:just )?(?:got|gotten) ){_STATUS}(?: .*)?", STATUS),
    (rf"{_NAME}['’]s? (?P<what>[a-z][\w -]{{1,40}}?){_IS} (?:now |currently )?{_V}", ""),
    (rf"[Tt]he (?P<what>[a-z][\w -]{{1,30}}?) of (?P<who>(?:the |our |my )?[\w' -]{{2,40}}?) (?:is|are) "
     rf"(?:now )?{_V}", ""),
    (rf"(?P<who>(?:[Tt]he|[Oo]ur) (?:[\w-]+ ){{0,3}}[\w-]+) (?:is|are) (?:now |currently )?{_V}", "is"),
)  # fmt: skip
_CUTS = {JOB: re.compile(r" (?:for|at|in|with) "), EMPLOYER: re.compile(r" (?:as|in|since|for) ")}
"""Where what somebody does goes over into where, and the other way round."""
_SINGLE = frozenset([LOCATION, JOB, EMPLOYER, AGE, STATUS, NAME, slots.PHONE, slots.EMAIL, BIRTHDAY])
_TELLS = re.compile(r"\d|\b[A-Z]|@|[^\x00-\x7f]{2}")
"""A name or a number: else "my X is Y" is what somebody thinks of it, more often than a fact."""
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
    speaker = message.name or message.role
    seen: set[tuple[str, str, str]] = set()
    for found in _SENTENCE.finditer(message.text, 0, _CHARS):
        sentence = found[0].strip()
        if not 6 <= len(sentence) <= _LONGEST or sentence.endswith("?"):
            continue
        start = found.start() + found[0].index(sentence)
        for fact in _in_sentence(sentence, speaker, start, message.at):
            key = (fact.subject, fact.attribute, fact.value)
            if key not in seen:
                seen.add(key)
                yield fact
        if len(seen) >= MOST:
            return


def _in_sentence(sentence: str, speaker: str, start: int, at: str | None) -> Iterator[Drawn]:
    """The facts of a sentence: of each of its clauses at the most one."""
    for offset, clause in _clauses(sentence):
        fact = _in_clause(clause, speaker)
        if fact is None:
            continue
        subject, attribute, value = fact
        when, value = told_time(clause, value, at)
        if not value:
            continue
        yield Drawn(
            text=said(subject, attribute, value), subject=subject, attribute=attribute, value=value, at=when,
            start=start + offset, end=start + offset + len(clause),
        )  # fmt: skip


_JOIN = re.compile(
    r"(?:,\s+|\s+)(?:and|but)\s+(?=(?:I|i|my|My|he|she|[A-Z]\w+)(?:'m|’m|'ve)? )|,\s+(?=(?:I|my) )|;\s+"
)


def _clauses(sentence: str) -> Iterator[tuple[int, str]]:
    at = 0
    for join in _JOIN.finditer(sentence):
        yield at, sentence[at : join.start()]
        at = join.end()
    yield at, sentence[at:]


def _in_clause(clause: str, speaker: str) -> tuple[str, str, str] | None:
    plain = " ".join(clause.rstrip(" .!;,").split())
    if not plain or _UNSURE.search(_END.sub("", plain)):
        return None
    for form in _OWN:
        if match := form.form.match(plain):
            return _own(match, form.attribute, speaker)
    for form in _THEIRS:
        if (match := form.form.match(plain)) and (found := _theirs(match, form.attribute)) is not None:
            return found
    return None


def _own(match: re.Match[str], attribute: str, speaker: str) -> tuple[str, str, str] | None:
    value = _value(match["value"])
    if attribute:
        value = _CUTS[attribute].split(value)[0] if attribute in _CUTS else value
        return (speaker, attribute, value) if _holds(attribute, value) else None
    what = " ".join(match["what"].split())
    if not _is_attribute(what) or not _holds(what, value):
        return None
    owner, of, inner = what.replace("’", "'").partition("'s ")
    if of:
        return f"{speaker}'s {owner}", canonical(inner), value
    return speaker, canonical(what), value


def _theirs(match: re.Match[str], attribute: str) -> tuple[str, str, str] | None:
    who = match["who"].replace("’", "'").removesuffix("'s")
    if who.split()[0].casefold() in _NOT_A_NAME or who.split()[-1].casefold() in _VAGUE:
        return None
    value = _value(match["value"])
    what = attribute or match["what"]
    value = _CUTS[attribute].split(value)[0] if attribute in _CUTS else value
    if (not attribute and not _is_attribute(what)) or not _holds(what, value):
        return None
    return who, attribute or canonical(what), value


def _is_attribute(what: str) -> bool:
    words = what.split()
    return 1 <= len(words) <= 5 and words[-1].casefold() not in _VAGUE and words[0].casefold() not in _NOT_A_NAME


def _holds(attribute: str, value: str) -> bool:
    """Whether what stands where a value should is one."""
    if not value or len(value) > 90 or len(value.split()) > 10:
        return False
    if attribute == AGE:
        return value.isdecimal() and 0 < int(value[:9]) < 130
    if attribute in (LOCATION, EMPLOYER, NAME):
        return any(word[:1].isupper() or word[:1].isdigit() for word in value.split())
    if _WEAK.match(value) or value.casefold() in _VAGUE:
        return False
    known = attribute.startswith(("favourite", "favorite")) or canonical(attribute) in _SINGLE
    return known or _TELLS.search(value) is not None


def _value(text: str) -> str:
    """A value without what follows it in the sentence, and without fillers."""
    value = _END.sub("", text).strip()
    while (shorter := _FILLER.sub("", value)) != value:
        value = shorter
    return _LEAD.sub("", value).strip(" ,\"'“”‘’*_`")


__all__ = ["MOST", "drawn"]
