"""How a call to the outside can fail, by what the caller may conclude.

OutsideError
├── NotFound          it is not there, or we may not see it
├── Refused           the other side understood and said no; asking again is no use
│   ├── BadCredentials    it does not accept our token
│   └── HostNotAllowed    we do not send there
├── Conflict          it changed meanwhile, or exists already
├── RateLimited       not before `until_seconds` from now
├── Unavailable       it did not happen: nothing was sent, or the answer says so
│   └── TooLarge          the answer is longer than we read; asking again gives the same
└── Ambiguous         it may or may not have happened: only reading tells

Messages name what was wanted, what was found and never a token, a header or a body.
"""

from __future__ import annotations


class OutsideError(Exception):
    """A call to another system failed. `status` is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotFound(OutsideError):
    pass


class Refused(OutsideError):
    pass


class BadCredentials(Refused):
    pass


class HostNotAllowed(Refused):
    pass


class Conflict(OutsideError):
    pass


class RateLimited(OutsideError):
    def __init__(self, message: str, *, until_seconds: float, status: int = 429) -> None:
        super().__init__(message, status=status)
        self.until_seconds = until_seconds


class Unavailable(OutsideError):
    pass


class TooLarge(Unavailable):
    pass


class Ambiguous(OutsideError):
    pass
