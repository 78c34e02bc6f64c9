"""Where a picture may be fetched from: which addresses of the web, and which machines behind their names.

Pure: nothing is resolved or contacted here. What is not allowed by a rule is refused.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from yarl import URL

from media.preparation import PICTURE_BYTES

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Networks that stand for others, or for a use of their own, and that Python calls public.
_NEVER: tuple[_Network, ...] = tuple(
    map(ipaddress.ip_network, ("192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20"))
)
# Whatever else begins otherwise stands for an IPv4 machine, or is nobody's (RFC 4291, section 2.4).
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
_PRINTABLE = re.compile(r"[^\s\x00-\x20\x7f\\]+")


@dataclass(frozen=True, kw_only=True)
class FetchRules:
    """What may be fetched.

    ``hosts`` are ``cdn.shop.example``, ``*.shop.example`` (every name below it, not itself), ``[fd00::1]``,
    each with ``:8080`` for another port than the scheme's. ``networks`` are those of private machines that
    may be contacted all the same, ``10.1.0.0/16``. Limits hold for one picture with all its redirects.
    """

    hosts: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("https",)
    networks: tuple[str, ...] = ()
    most_bytes: int = PICTURE_BYTES
    seconds: float = 20.0
    redirects: int = 3
    attempts: int = 3
    pause_s: float = 0.5


def refusal_of(address: str, rules: FetchRules) -> str | None:
    """Return why an address is not to be fetched, in words that hold nothing of it; None when it is.

    The same parser reads it for the request, so both see the same host.
    """
    try:
        url = URL(address) if _PRINTABLE.fullmatch(address) else URL()
        host = url.raw_host
    except ValueError:
        host = None
    if not host:
        return "no address of a host"
    if url.scheme not in rules.schemes:
        return f"a scheme other than {' and '.join(rules.schemes)}"
    if "@" in url.raw_authority:
        return "an address with a user or a password"
    name, usual = host.lower().removesuffix("."), url.with_port(None).port
    if not any(_covers(rule, name, url.port, usual) for rule in rules.hosts):
        return "a host that no setting allows"
    return None


def may_contact(ip: str, networks: Sequence[str]) -> bool:
    """Say whether a machine may be connected to: a public one, or one of ``networks``.

    >>> may_contact("93.184.216.34", []), may_contact("::ffff:127.0.0.1", []), may_contact("10.1.2.3", [])
    (True, False, False)
    >>> may_contact("10.1.2.3", ["10.1.0.0/16"])
    True
    """
    address = ipaddress.ip_address(ip.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in ipaddress.ip_network(network) for network in networks):
        return True
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_IPV6:
        return False
    return address.is_global and not address.is_multicast and not any(address in n for n in _NEVER)


def _covers(rule: str, name: str, port: int | None, usual: int | None) -> bool:
    """Say whether a rule is one for a host and port; ``usual`` is the port of a rule that names none."""
    allowed, own = _read(rule.removeprefix("*."))
    if port != (own or usual):
        return False
    if not rule.startswith("*."):
        return name == allowed
    return name.endswith(below := f".{allowed}") and name != below


@lru_cache
def _read(host: str) -> tuple[str, int | None]:
    """Return the name and the port of a rule's host, as the parser of addresses reads them."""
    try:
        url = URL(f"//{host}")
        return (url.raw_host or "").lower().removesuffix("."), url.explicit_port
    except ValueError:  # no host, so that of no address
        return host, None
