"""How many records a key may send: a bucket of one second's records, which one request may overdraw. Pure.

What is asked is whether anything is left, before a body is read; what is charged is what it held. So a
request is never too large for a small rate, and on average the rate holds.
"""

from dataclasses import dataclass


@dataclass
class Allowance:
    """The bucket of one key. Times are in seconds, of any clock that does not go back."""

    per_s: float
    left: float
    at_s: float

    @classmethod
    def full(cls, per_s: float, now_s: float) -> "Allowance":
        """Return one from which nothing was taken."""
        return cls(per_s, max(1.0, per_s), now_s)

    def wait_s(self, now_s: float) -> float:
        """Return after how many seconds the next request is let in; 0 when it is now."""
        self.left = min(max(1.0, self.per_s), self.left + self.per_s * (now_s - self.at_s))
        self.at_s = now_s
        return 0.0 if self.left >= 1 else (1 - self.left) / self.per_s

    def charge(self, records: int) -> None:
        """Take so many out."""
        self.left -= records
