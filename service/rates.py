"""How many requests a tenant may make: a token bucket for each, in this process.

The headers are those of the IETF draft `ratelimit-headers`-10. Several processes of the service each have buckets of
their own, so that a tenant's requests are limited to the number times the processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_S = 60.0
_MOST_TENANTS = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to a tenant after a request.

    Attributes:
        granted: whether the request is among those that are allowed.
        quota: requests a minute, and how many may come at once.
        remaining: of them, now.
        reset_s: seconds until the next is allowed.
    """

    granted: bool
    quota: int
    remaining: int
    reset_s: float

    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy` and `RateLimit`."""
        left = f'"requests";r={self.remaining};t={max(1, round(self.reset_s))}'
        return {"RateLimit-Policy": f'"requests";q={self.quota};w={_WINDOW_S:.0f}', "RateLimit": left}


class Rates:
    """Buckets that fill evenly over a minute. Used from one event loop."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._quota = per_minute
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, tenant: str) -> Allowance:
        """Takes one request out of a tenant's bucket, if one is left."""
        now = self._clock()
        tokens, at = self._buckets.pop(tenant, (float(self._quota), now))
        tokens = min(self._quota, tokens + (now - at) * self._quota / _WINDOW_S)
        granted = tokens >= 1
        left = tokens - 1 if granted else tokens
        self._buckets[tenant] = (left, now)  # behind all others: the first is the one not seen for longest
        if len(self._buckets) > _MOST_TENANTS:
            del self._buckets[next(iter(self._buckets))]
        return Allowance(granted, self._quota, int(left), max(0.0, (1 - left) * _WINDOW_S / self._quota))
