"""Everything that Swarm raises, in two trunks: you called it wrong, or the run went wrong.

    SwarmError
    ├── UsageError                 you called it wrong: the message says what, where, and what to do
    │   ├── SourceError            a path, a pattern or a file that cannot be used
    │   ├── ModelError             an unknown model, a missing key, a missing extra
    │   ├── WindowTooSmall         the window does not hold the prompt and one passage
    │   ├── RecipeError            a recipe that does not load or is called wrong
    │   └── StoreError             a store from a newer version, corrupt, or not writable
    │       ├── StoreInUse         another process, that is alive, has the store or the run
    │       └── StaleLease         a slice is another's by now: nothing more of it is written here
    └── RunError                   the run went wrong: recorded, retried, and in the end reported
        ├── PromptTooLong          more tokens than the window holds: split and go on
        ├── ReplayDiffers          a run came out otherwise than it was recorded
        ├── LimitReached           a limit of the run: an outcome, never a crash
        ├── SliceCancelled         a person cancelled a slice: it is not worked any more
        ├── IndexFailed            an index, or what makes its vectors, cannot be reached or used
        └── CallFailed             one model call failed
            ├── Unavailable        transient: overload, time-out, connection; retried
            │   └── RateLimited    the provider said to slow down; retried after `retry_after` seconds
            ├── Refused            the model declined; not retried
            ├── InvalidReply       the reply does not parse; repaired once, then retried fresh
            ├── NoAgreement        replies were asked for until one should lead, and none does
            └── Rejected           the provider will never accept this request (bad key, bad model name)

This module knows nothing else of Swarm. Every error pickles and carries no secret.
"""

from __future__ import annotations


class SwarmError(Exception):
    """The root. Its text is one line, fit to be shown to a user."""


class UsageError(SwarmError):
    """You called it wrong."""


class SourceError(UsageError):
    """A path, a pattern or a file that cannot be used."""


class ModelError(UsageError):
    """An unknown model, a missing key, a missing extra, or a job that this model cannot do."""


class WindowTooSmall(UsageError):
    """The window does not hold the prompt, the reserved reply and one passage."""


class RecipeError(UsageError):
    """A recipe that does not load, or that was called wrong."""


class StoreError(UsageError):
    """A store that is from a newer version, corrupt or not writable."""


class StoreInUse(StoreError):
    """Another process, that is alive, has the store, or the run in it."""


class StaleLease(StoreError):
    """The lease of a slice is over: another has it by now, or it is settled. What was to be written is refused."""


class NoSuchRun(StoreError):
    """A store that holds no run of that name."""


class RunError(SwarmError):
    """The run went wrong.

    `in_doubt` is true where a request had reached the provider, or may have, and no usable answer came back: it
    may have been billed, and is settled at the most that it can have come to.
    """

    in_doubt: bool = False


class PromptTooLong(RunError):
    """A request holds more tokens than its window; nothing was truncated, the slice is to be split.

    `tokens` is the count of the request and `limit` what the window takes, both in tokens; either is 0
    where a provider did not say it.
    """

    def __init__(self, message: str, tokens: int = 0, limit: int = 0) -> None:
        super().__init__(message, tokens, limit)
        self.message, self.tokens, self.limit = message, tokens, limit

    def __str__(self) -> str:
        return self.message


class LimitReached(RunError):
    """A limit does not allow the next call. `limit` names it as in `Limits`. `scope` is `run` where it is the
    run's, which then ends, and `slice` where it is the share of one slice, which then fails."""

    def __init__(self, message: str, limit: str = "", scope: str = "run") -> None:
        super().__init__(message, limit, scope)
        self.message, self.limit, self.scope = message, limit, scope

    def __str__(self) -> str:
        return self.message


class ReplayDiffers(RunError):
    """A run that is replayed came out otherwise than it was recorded. `record` is the number of the first record
    in the journal that did, or 0."""

    def __init__(self, message: str, record: int = 0) -> None:
        super().__init__(message, record)
        self.message, self.record = message, record

    def __str__(self) -> str:
        return self.message


class SliceCancelled(RunError):
    """A person cancelled a slice: it is not worked any more, and the run goes on without it."""


class IndexFailed(RunError):
    """An index, or what turns texts into vectors for it, cannot be reached or used."""


class CallFailed(RunError):
    """One model call failed."""


class Unavailable(CallFailed):
    """A transient failure: overload, time-out, a connection that broke.

    `overloaded` is true where the provider has more work than it can do, or is too slow: fewer calls at a time may
    help. `quota` is what the response's headers told of its rates (a `swarm.models.quota.Quota`), or None.
    """

    def __init__(
        self, message: str, *, in_doubt: bool = False, overloaded: bool = False, quota: object = None
    ) -> None:
        super().__init__(message)
        self.message, self.in_doubt, self.overloaded, self.quota = message, in_doubt, overloaded, quota

    def __str__(self) -> str:
        return self.message


class RateLimited(Unavailable):
    """The provider asked for patience: `retry_after` seconds, or None where it did not say."""

    def __init__(
        self,
        message: str,
        retry_after: float | None = None,
        *,
        in_doubt: bool = False,
        overloaded: bool = True,
        quota: object = None,
    ) -> None:
        super().__init__(message, in_doubt=in_doubt, overloaded=overloaded, quota=quota)
        self.retry_after = retry_after


class Refused(CallFailed):
    """The model declined to answer."""


class InvalidReply(CallFailed):
    """The reply is not what the prompt asked for. `text` is what came, for the repair. `known` is true where all
    of it was in the journal already, and nobody was asked."""

    def __init__(self, message: str, text: str = "", known: bool = False) -> None:
        super().__init__(message, text, known)
        self.message, self.text, self.known = message, text, known

    def __str__(self) -> str:
        return self.message


class NoAgreement(CallFailed):
    """A vote that ended undecided: the message says how the votes stand."""


class Rejected(CallFailed):
    """The provider will never accept this request: a bad key, an unknown model name, a bad parameter."""
