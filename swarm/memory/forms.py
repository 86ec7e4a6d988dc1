"""The forms in which people tell facts of themselves and of others, in English.

Each is a pattern of a whole clause; what stands in its group `value` is the value. This module knows words alone;
what a clause has to be, to be believed, is told in `extract`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from swarm.memory.slots import AGE, BIRTHDAY, EMPLOYER, JOB, LOCATION, NAME, STATUS

_I = r"(?:I|i)"
_AM = rf"(?:{_I}(?:'|’)?m|{_I} am)"
_NOW = r"(?:now |currently |just |recently |actually |finally |already |also |still |both )*"
_HAVE = rf"(?:{_I}(?:'|’)ve |{_I} have |{_I} )"
_NAME = r"(?P<who>[A-Z][\w'’-]*(?: [A-Z][\w'’-]*){0,2})"
_V = r"(?P<value>.+)"
_STATUS = r"(?P<value>single|married|engaged|divorced|widowed|separated)"


@dataclass(frozen=True, slots=True)
class Form:
    """A way to say a fact. `attribute` is that of its slot; one that the words name stands in the group `what`.
    With a `text` a fact has no slot: there may be several, and none takes the place of another."""

    form: re.Pattern[str]
    attribute: str = ""
    text: str = ""


def _forms(*given: tuple[str, ...]) -> tuple[Form, ...]:
    lead = (
        r"(?:^|.*?[,:] |.*?\b(?:and|but|so|that|since) |(?:hey|hi|hello|well|yes|yeah|oh|ok|okay|btw|ps|so)[,!]? )"
    )
    return tuple(Form(re.compile(f"{lead}{form}$"), *more) for form, *more in given)


_WE = r"(?:I|i|We|we)"
_WE_HAVE = rf"(?:{_WE}(?:'|’)ve |{_WE} have |{_WE} )"
_LIVE = rf"{_WE} (?:now |currently |still )?live|{_WE_HAVE}been living|{_AM} {_NOW}living|{_AM} {_NOW}based"
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
_WORKPLACES = (
    "bakery school hospital bank clinic restaurant café cafe bar pub shop store company startup start-up firm "
    "university college library hotel factory farm museum agency pharmacy gym nursery kindergarten zoo garage "
    "supermarket bookshop bookstore studio lab laboratory charity nonprofit non-profit publisher airport "
    "warehouse "
    "theatre theater church council brewery consultancy"
).replace(" ", "|")
_IS = r"(?: is now| are now| is currently| has changed to| changed to| is| are)"
_YEARS = r"(?P<value>\d{1,3})(?: years? old| years of age)?"
_THEN = r"(?: (?:today|yesterday|now|last \w+|this \w+|on .+|in .+))?"
_CHANGED = (
    r" (?:has |was |is |got |have |were |are )?(?:just |now |been )*(?:moved|pushed(?: back)?|postponed|"
    r"rescheduled|"
    r"brought forward|extended|changed|renamed)(?: back| forward)? to"
)
_KIN = (
    "(?:(?:older|elder|younger|little|big|best|late|new|step|grand|ex)[- ]?)?(?:wife|husband|partner|"
    "girlfriend|boyfriend|fiancée?|sister|brother|mother|father|mom|mum|dad|son|daughter|grandmother|"
    "grandfather|grandma|grandpa|aunt|uncle|"
    "cousin|niece|nephew|friend|boss|manager|neighbou?r|roommate|flatmate|colleague|doctor|teacher)"
)
_PET = "dog|cat|puppy|kitten|rabbit|hamster|parrot|horse|turtle|tortoise|guinea pig|bird|snake|lizard"
_COUNT = r"(?:an?|one|two|three|four|five|six|\d)"
_CHILD = r"(?:kids?|child(?:ren)?|sons?|daughters?|twins|grandkids|grandchild(?:ren)?|boys?|girls?)"
OWN = _forms(
    (rf"(?:{_LIVE}) (?:in|at) {_V}", LOCATION),
    (rf"{_WE_HAVE}{_NOW}{_MOVED} (?!the next|another|a new){_V}", LOCATION),
    (rf"{_WE_HAVE}{_NOW}(?:moved|relocated) from [A-Z][^,]*? to (?P<value>[A-Z].*)", LOCATION),
    (rf"{_WE_HAVE}{_NOW}moved into (?:an?|our|my|the) [\w -]{{2,30}}? in (?P<value>[A-Z].*)", LOCATION),
    (rf"(?:{_AM} (?:originally )?|{_I} come )from (?P<value>[A-Z].*)", "origin"),
    (rf"{_I} grew up in (?P<value>[A-Z].*)", "childhood home"),
    (rf"{_I} was born in (?P<value>[A-Z].*)", "birthplace"),
    (rf"{_I} was born in (?P<value>(?:19|20)\d\d)", "year of birth"),
    (rf"(?:{_I} {_NOW}work|{_AM} {_NOW}working|{_HAVE}{_NOW}(?:started|began)(?: working| work)?|{_TOOK}) as "
     rf"(?:an? |the )?{_V}", JOB),
    (rf"{_BECAME} (?:an? |the )?(?P<value>[\w -]*{_DOES}(?: (?:at|of|for|in) .+)?)", JOB),
    (rf"{_AM} {_NOW}(?:an? )(?P<value>(?:[\w-]+ ){{0,3}}?(?:{_CALLINGS})(?: (?:at|for|in|with|by) .+)?)", JOB),
    (rf"{_AM} {_NOW}(?P<value>retired|unemployed|self-employed)(?: .*)?", JOB),
    (rf"{_AM} {_NOW}studying (?!for\b|hard|a\b|at\b|in\b|to\b|so\b|all\b|the\b|with\b|like\b){_V}", "studies"),
    (rf"(?:{_I} {_NOW}work|{_AM} {_NOW}working|{_AM} {_NOW}employed) (?:at|for|by) {_V}", EMPLOYER),
    (rf"{_JOINED} (?P<value>(?:the )?[A-Z].*)", EMPLOYER),
    (rf"(?:{_AM} {_NOW}|{_HAVE}{_NOW}turned ){_YEARS}{_THEN}", AGE),
    (rf"(?:{_AM} {_NOW}|{_HAVE}{_NOW}(?:got|gotten) ){_STATUS}"
     r"(?: (?:to (?!my\b|the\b|this\b|it\b)|now|again|in (?!an? |the |my )|on|last|since|"
     r"with (?!the\b)|for)\b.*)?", STATUS),
    (rf"(?:[Mm]y name is|[Mm]y name's|{_AM} called|(?:[Pp]lease )?[Cc]all me|{_I} go by) {_V}", NAME),
    (rf"{_I} was born on {_V}", BIRTHDAY),
    (r"(?P<value>(?!It|That|This|He|She|They|What|Which|There|One|Here)[A-Z][\w'’ -]{1,50}?) is "
     r"(?:now |still )?my (?P<what>favou?rite [\w -]{2,30})", ""),
    (rf"[Mm]y (?P<kin>{_KIN}) (?:now |currently |still )?"
     rf"(?:lives|is (?:now )?(?:living|based)) in {_V}", LOCATION),
    (rf"[Mm]y (?P<kin>{_KIN}) (?:has )?{_NOW}(?:moved|relocated)(?: back| over| out)? to {_V}", LOCATION),
    (rf"[Mm]y (?P<kin>{_KIN}) (?:{_NOW}works|is {_NOW}working) as (?:an? |the )?{_V}", JOB),
    (rf"[Mm]y (?P<kin>{_KIN}) (?:{_NOW}works|is {_NOW}working) (?:at|for) {_V}", EMPLOYER),
    (rf"[Mm]y (?P<kin>{_KIN}) (?:has )?(?:just )?turned {_YEARS}{_THEN}", AGE),
    (rf"[Mm]y (?P<what>(?!name\b)[\w'’ -]{{2,40}}?){_IS} (?:now |currently )?{_V}", ""),
    (rf"[Mm]y (?!(?:{_KIN}|{_PET})\b)(?P<what>[\w'’ -]{{2,40}}?){_CHANGED} {_V}", ""),
    (rf"{_WE}(?:(?:'|’)ve| have)?(?: now)?(?: got| have)? (?P<value>{_COUNT} (?:[\w-]+ ){{0,2}}?{_CHILD}"
     rf"(?:,? and {_COUNT} (?:[\w-]+ )?{_CHILD})?)(?:,? (?:named|called|aged|together|now) .*)?", "children"),
    (rf"{_WE_HAVE}{_NOW}(?:have |got |adopted |own |bought |rescued )+(?:an? |our |the )(?:[\w-]+ ){{0,2}}?"
     rf"(?P<pet>{_PET}),? (?:named|called|whose name is) (?P<value>[A-Z][\w'’-]*)", NAME,
     "{who}'s {pet} is called {value}"),
    (rf"{_AM} {_NOW}(?:an? )?(?P<value>vegetarian|vegan|pescatarian)(?: (?:now|again|since|for)\b.*)?", "diet"),
    (rf"{_AM} {_NOW}(?:very |severely |badly |highly |slightly |deathly )?allergic to {_V}", "allergic to",
     "{who} is allergic to {value}"),
    (rf"{_AM} {_NOW}(?:an? )?(?P<value>lactose[- ]intolerant|gluten[- ]intolerant|coeliac|celiac|diabetic|"
     r"left-handed|right-handed|colou?r-?blind|dyslexic)", "is", "{who} is {value}"),
    (rf"{_I} (?:really |much |generally |usually |now |always |still )*prefer {_V}", "prefers",
     "{who} prefers {value}"),
    (rf"{_WE_HAVE}{_NOW}(?:switched|migrated|changed|moved) (?:over )?from (?P<old>.{{1,40}}?) to {_V}",
     "switched to", "{who} switched from {old} to {value}"),
    (rf"{_WE}(?:(?:'|’)ve| have)? {_NOW}(?:decided|agreed) (?P<how>to|on) (?!disagree|differ){_V}", "decided",
     "{who} decided {how} {value}"),
    (rf"{_WE_HAVE}{_NOW}(?P<how>chose|chosen|picked) (?P<value>[A-Z].*)", "chose", "{who} chose {value}"),
    (rf"{_I} (?:also |can |fluently )*speak (?P<value>[A-Z]\w+(?:(?:,? and |, )[A-Z]\w+)*)"
     r"(?: (?:at|fluently|with) ?.*)?",
     "speaks", "{who} speaks {value}"),
    (rf"{_I} {_NOW}(?P<how>drive|own) (?P<value>an? (?:[\w-]+ )?[A-Z0-9][\w-]*.*)", "has", "{who} has {value}"),
    (rf"{_I} {_NOW}use (?P<value>[A-Z][\w.+#-]*(?: [A-Z0-9][\w.-]*){{0,2}})(?: (?:for|as|on|at|to) .*)?", "uses",
     "{who} uses {value}"),
    (rf"{_AM} (?P<value>\d[\d.,]* ?(?:cm|m|feet|ft|foot)(?: \d+)?)(?: tall)?", "height"),
    (rf"{_I} {_NOW}weigh (?P<value>\d[\d.,]* ?(?:kg|kilos?|lbs?|pounds|stone))", "weight"),
)  # fmt: skip
THEIRS = _forms(
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
    (rf"(?P<who>(?:[Tt]he|[Oo]ur) (?:[\w-]+ ){{0,3}}?[\w-]+)(?:{_IS}|{_CHANGED}) (?:now |currently )?{_V}", "is"),
)  # fmt: skip
NOT_DOING = _forms(
    (rf"{_I} (?:do not|don['’]t|never) (?P<what>eat|drink|smoke) (?P<value>(?!much|enough|any(?:thing)?\b|"
     r"it\b|that|this|too|here|out\b|lunch|breakfast|dinner|before|after|at\b|in\b|well|so\b|as\b|there|them|to\b|"
     r"these|those)"
     r"[\w-]+(?: (?:or|and|nor) [\w-]+| [\w-]+)?)", "does not {what}", "{who} does not {what} {value}"),
)  # fmt: skip
"""What somebody never does: the one kind of fact that is told by saying no."""
BEING = re.compile(rf"(?:{_KIN}|{_PET})", re.IGNORECASE)
CALLING = re.compile(rf"an? (?P<value>(?:[\w-]+ ){{0,3}}?(?:{_CALLINGS}))")
WORKPLACE = re.compile(rf"(?:an?|the) (?:[\w-]+ ){{0,3}}?(?:{_WORKPLACES})\b.*")


__all__ = ["BEING", "CALLING", "NOT_DOING", "OWN", "THEIRS", "WORKPLACE", "Form"]
