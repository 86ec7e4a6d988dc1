"""What a provider's failure means, whatever its shape: by status and code first, by wording last.

Every provider and every compatible server says "too long", "too fast", "not now" and "never" in its own way; here
they become the errors of `swarm.errors`. No key and nothing of the prompt gets into a message. This module knows
no SDK: adapters hand it plain values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from swarm.errors import PromptTooLong, RateLimited, Refused, Rejected, RunError, Unavailable
from swarm.models.quota import quota_of
from swarm.observe.log import redact_text

_LONG_CODES = {
    "context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded",
    "string_above_max_length",
}  # fmt: skip
_LONG_WORDS = re.compile(
    r"prompt is too long|input is too long|input length and .?max_tokens.? exceed"
    r"|exceeds? the (?:available )?context"
    r"|exceeds? (?:the )?(?:model'?s? )?(?:maximum )?context (?:window|length|size)|maximum context length"
    r"|context[ _](?:length|window|size)[ _]exceeded|exceeds the (?:model's )?max(?:imum)? (?:input|model) "
    r"|longer than the maximum model length|too many (?:input )?tokens"
    r"|inputs`? tokens \+ `?max_new_tokens|reduce the length of the (?:messages|prompt|input)"
    r"|must (?:have|be) less than or equal to \d+ tokens|exceed_context_size",
    re.IGNORECASE,
)
_TOO_LARGE_EVER = re.compile(
    r"request too large .*limit[: ]+([\d,]+).*requested[: ]+([\d,]+)", re.IGNORECASE | re.DOTALL
)
_REFUSED_CODES = {
    "content_filter",
    "content_policy_violation",
    "invalid_prompt",
    "moderation_blocked",
    "cyber_policy",
}
_NEVER_CODES = {"insufficient_quota", "billing_error", "billing_hard_limit_reached", "account_deactivated"}
_NEVER = {401, 402, 403, 404}
_TRANSIENT = {408, 409, 425, 429, 498, 499}
_OVERLOADED = {408, 503, 504, 524, 529}
GAVE_UP_WAITING = {504, 524}  # said by what stands before the provider, which may answer and bill all the same
_LIMITS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:>|<=) ?(\d[\d,]*)",
        r"(\d[\d,]*) (?:tokens? )?maximum",
        r"(?:maximum|available) (?:context|input|model|prompt)\D{0,40}?(\d[\d,]*)",
        r"(?:context|maximum model) (?:window|length|size|limit)\D{0,40}?(\d[\d,]*)",
    )
]
_FORM_WORDS = re.compile(
    r"response_format|json_schema|json_object|json mode|structured[ _-]outputs?|output_config|output_format"
    r"|tool_choice|text\.format|guided|grammar",
    re.IGNORECASE,
)
_TOOLS = r"(?:\btools?\b(?!\.\d|\[)|\btools?[ _-](?:use|choice|call)|\bfunction)"
_REFUSES = r"(?:n[o']t (?:be )?(?:support|enabl|permit)|unsupported|requires? --|unknown|unrecogni[sz]ed)"
_TOOL_WORDS = re.compile(
    rf"{_TOOLS}.{{0,80}}{_REFUSES}|{_REFUSES}.{{0,80}}{_TOOLS}|endpoints found that support tool", re.IGNORECASE
)
_CHOICE_WORDS = re.compile(r"tool[ _]choice|forces? (?:a )?tool", re.IGNORECASE)
_REPLY_LIMITS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"max_(?:output_|completion_)?tokens: \d+ > (\d[\d,]*)",
        r"at most `?(\d[\d,]*)`? (?:completion|output) tokens",
        r"max_(?:output_|completion_)?tokens\b.{0,40}\[\d+, ?(\d[\d,]*)\]",
        r"max_(?:output_|completion_)?tokens\b.{0,60}(?:less than or equal to|<=|at most) `?(\d[\d,]*)",
    )
]
_SMALLEST_WINDOW = 512  # a smaller number in such a message is something else
_KEY = re.compile(r"\b(?:sk|pk|key|xai|gsk|Bearer)[-_ ][\w*.-]{6,}", re.IGNORECASE)
_NUMBER = re.compile(r"\d[\d,_]*\d|\d")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What came back instead of a reply. `status` is 0 where a stream broke off with an error event, and `lost` is
    true where nothing came that could be understood: the network, or a server that speaks another language. `sent`
    is false where the request surely never reached the provider, `late` is true where no answer came in time."""

    provider: str
    status: int = 0
    code: str = ""
    kind: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False
    sent: bool = True
    late: bool = False


def error_of(failure: Failure, *, sent: str = "", key_hint: str = "") -> RunError:
    """The error that this failure is. `sent` is the prompt, kept out of the message; `key_hint` says where the key
    is set."""
    if failure.lost:
        message = f"{failure.provider}: {failure.message}"
        return Unavailable(message, in_doubt=failure.sent, overloaded=failure.late)
    codes = {failure.code, failure.kind}
    where = f"{failure.provider} answered {failure.status or 'with an error'}"
    if (too_large := _TOO_LARGE_EVER.search(failure.message)) is not None:
        limit, tokens = (_number(group) for group in too_large.groups())
        return PromptTooLong(f"{where}: more tokens than it takes in a minute", tokens=tokens, limit=limit)
    if _too_long(failure):
        tokens, limit = _sizes(failure.message)
        known = f": {tokens:,} tokens, at most {limit:,}" if tokens and limit else ""
        return PromptTooLong(f"{where}: the prompt is too long{known}", tokens=tokens, limit=limit)
    said = _quotable(failure.message, sent)
    if codes & _REFUSED_CODES:
        return Refused(f"{where}: declined by its content policy{said}")
    if codes & _NEVER_CODES or failure.status in _NEVER:
        return Rejected(_never(failure, where, said, key_hint))
    if failure.status == 429 or "rate_limit_error" in codes or "rate_limit_exceeded" in codes:
        return RateLimited(
            f"{where}: slow down",
            retry_after(failure.headers),
            in_doubt=failure.status == 0,
            quota=quota_of(failure.headers),
        )
    if (
        failure.status in _TRANSIENT
        or failure.status >= 500
        or codes & {"overloaded_error", "api_error", "server_error"}
    ):
        return _busy(failure, f"{where}: not available{said}")
    if failure.status == 0:
        return Unavailable(f"{where} in mid-stream{said}", in_doubt=True)
    return Rejected(f"{where}: the request is not accepted{said}")


def _busy(failure: Failure, message: str) -> Unavailable:
    in_doubt = failure.status == 0 or failure.status in GAVE_UP_WAITING
    quota = quota_of(failure.headers)
    if (wait := retry_after(failure.headers)) is not None:
        return RateLimited(message, wait, in_doubt=in_doubt, quota=quota)
    overloaded = failure.status in _OVERLOADED or "overloaded_error" in {failure.code, failure.kind}
    return Unavailable(message, in_doubt=in_doubt, overloaded=overloaded, quota=quota)


def _never(failure: Failure, where: str, said: str, key_hint: str) -> str:
    match failure.status:
        case 401 | 403:
            return f"{where}: the key is not accepted{key_hint and f' (set by {key_hint})'}"
        case 404:
            return f"{where}: no such model or address{said}"
        case _:
            return f"{where}: the account has no credit left{said}"


def about_form(failure: Failure) -> bool:
    """Whether what is objected to is how the schema of the reply was given: another way may do."""
    return failure.status in {400, 404, 422, 500, 501} and _FORM_WORDS.search(failure.message) is not None


def about_tools(failure: Failure) -> bool:
    """Whether what is objected to is that there are tools at all."""
    return failure.status in {400, 404, 405, 422, 500, 501} and _TOOL_WORDS.search(failure.message) is not None


def about_choice(failure: Failure) -> bool:
    """Whether what is objected to is that one of the tools has to be used. Some cannot while they think."""
    return failure.status in {400, 404, 422, 500, 501} and _CHOICE_WORDS.search(failure.message) is not None


def longest_reply(failure: Failure) -> int | None:
    """Tokens of the longest reply that the provider allows, where it objects to a longer one; else None."""
    if failure.status not in {400, 422} or _too_long(failure):
        return None
    found = next((match for pattern in _REPLY_LIMITS if (match := pattern.search(failure.message))), None)
    return _number(found[1]) if found is not None else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait; None where it does not say."""
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        pass
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _too_long(failure: Failure) -> bool:
    if failure.status == 429:
        return False  # "too many tokens" may also be said of a minute, and waiting cures that
    return bool(
        failure.status == 413
        or {failure.code, failure.kind} & _LONG_CODES
        or (failure.status in {0, 400, 422, 500} and _LONG_WORDS.search(failure.message))
    )


def _sizes(message: str) -> tuple[int, int]:
    """Tokens of the prompt and of the window, as far as the wording tells; 0 where it does not."""
    limit = 0
    for pattern in _LIMITS:
        if (found := pattern.search(message)) is not None:
            limit = _number(found[1])
            break
    largest = max((_number(match[0]) for match in _NUMBER.finditer(message)), default=0)
    return (largest if largest > limit > 0 else 0), (limit if limit >= _SMALLEST_WINDOW else 0)


def _number(text: str) -> int:
    return int(text.replace(",", "").replace("_", ""))


def _quotable(message: str, sent: str) -> str:
    """The provider's own words, when they hold neither a key nor a piece of the prompt."""
    words = _KEY.sub("…", redact_text(" ".join(message.split())))[:200]
    pieces = (words[i : i + 24] for i in range(0, max(1, len(words) - 23), 4))
    if not words or any(len(piece) == 24 and piece in sent for piece in pieces):
        return ""
    return f" ({words})"
