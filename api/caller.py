"""Who asks, and what is theirs. Pure."""

from dataclasses import dataclass

from api.allowance import Allowance
from api.bodies import HttpFault
from schemas.keys import ApiKey, Role


@dataclass(frozen=True)
class Caller:
    """``key`` None: somebody without a key; ``anything``: whom nobody asks for one."""

    key: ApiKey | None = None
    allowance: Allowance | None = None
    anything: bool = False

    def may(self, role: Role | None) -> bool:
        """Say whether a route that needs the role is for this caller."""
        return role is None or self.anything or (self.key is not None and role in self.key.roles)

    @property
    def public(self) -> bool:
        """Whether the key lies in pages for all to see."""
        return self.key is not None and bool(self.key.origins)

    def may_come_from(self, origin: str) -> bool:
        """Say whether a page of another origin may ask with this key."""
        return self.key is not None and origin in self.key.origins

    def most(self, size: int) -> int:
        """Return how large a body may be, where ``size`` bytes are what is taken of anybody."""
        own = self.key.body_bytes if self.key is not None else None
        return size if own is None else min(size, own)

    def charge(self, records: int) -> None:
        """Note that so many records came, besides the first of the request."""
        if self.allowance is not None:
            self.allowance.charge(records)

    def too_much(self, now_s: float) -> HttpFault | None:
        """Note a request; or return its refusal, where the key has had what it may."""
        if self.allowance is None:
            return None
        if wait_s := self.allowance.wait_s(now_s):
            said = f"the key may send {self.allowance.per_s:g} records a second"
            return HttpFault(429, "rate_limited", said, int(wait_s * 1000) + 1)
        self.allowance.charge(1)
        return None


NOBODY = Caller()
