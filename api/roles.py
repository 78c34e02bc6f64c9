"""Which role each route needs: the one table, and the check before each route.

A route that is not in the table lets nobody in, and a test says so.
"""

from collections.abc import Mapping

from fastapi import Request

from api.bodies import HttpFault
from api.caller import NOBODY, Caller
from schemas.keys import Role

# None: for everybody, with a key or without.
ROLES: Mapping[tuple[str, str], Role | None] = {
    ("POST", "/v1/events"): Role.EVENTS,
    ("POST", "/1/events"): Role.EVENTS,
    ("POST", "/v1/events:validate"): Role.EVENTS,
    ("POST", "/v1/products"): Role.PRODUCTS,
    ("POST", "/v1/products:validate"): Role.PRODUCTS,
    ("DELETE", "/v1/products/{product_id}"): Role.PRODUCTS,
    ("POST", "/v1/search"): Role.SEARCH,
    ("GET", "/v1/search"): Role.SEARCH,
    ("POST", "/v1/search:batch"): Role.SEARCH,
    **{
        ("GET", path): Role.READ
        for name, one in (
            ("runs", "run_id"),
            ("releases", "generation"),
            ("decisions", "decision_id"),
            ("evaluations", "decision_id"),
            ("triggers", "trigger_id"),
            ("commands", "command_id"),
            ("rules", "rule_id"),
            ("judgments", "name"),
        )
        for path in (f"/v1/{name}", f"/v1/{name}/{{{one}}}")
    },
    **{
        (method, f"/v1/{path}"): Role.OPERATE
        for method, path in (
            ("POST", "releases/{generation}:promote"),
            *(
                ("POST", f"releases:{action}")
                for action in ("rollback", "pin", "unpin", "pause", "resume", "abort")
            ),
            ("POST", "triggers"),
            ("POST", "runs/{run_id}:cancel"),
            ("POST", "rules"),
            ("PUT", "rules/{rule_id}"),
            ("DELETE", "rules/{rule_id}"),
            ("POST", "forget"),
            ("POST", "judgments"),
        )
    },
    **{
        ("GET", f"/console{path}"): Role.READ
        for path in (
            "",
            "/live",
            "/search",
            "/pictures/{preparation}/{begin}/{sha256}",
            "/runs",
            "/runs/{run_id}",
            "/runs/{run_id}/report",
            "/releases",
            "/act/{action}",
            "/data",
            "/data/catalogue",
            "/data/event",
            "/data/{topic}/{offset}",
            "/queries",
            "/queries/pairs",
            "/queries/pairs/events",
            "/producers",
            "/judge",
            "/judge/{name}.csv",
            "/judge/{name}.jsonl",
        )
    },
    ("POST", "/console/act/{action}"): Role.OPERATE,
    ("POST", "/console/data"): Role.OPERATE,
    ("POST", "/console/data/catalogue"): Role.OPERATE,
    ("POST", "/console/search"): Role.READ,
    ("POST", "/console/judge"): Role.OPERATE,
    ("POST", "/console/judge/import"): Role.OPERATE,
    ("GET", "/v1/queries"): Role.READ,
    ("GET", "/v1/producers"): Role.READ,
    ("GET", "/v1/dead-letters"): Role.READ,
    ("GET", "/v1/dead-letters/{topic}/{offset}"): Role.READ,
    ("POST", "/v1/dead-letters:replay"): Role.OPERATE,
    ("GET", "/console/static/{name}"): None,
    ("GET", "/openapi.json"): None,
    ("GET", "/docs"): None,
    ("GET", "/searchloop.js"): None,
}

NO_KEY = HttpFault(
    401, "no_key", "a key is needed: Authorization: Bearer KEY (`searchloop keys create` makes one)"
)
WRONG_KEY = HttpFault(401, "wrong_key", "the key is none of ours, or is revoked")


class NotAllowedError(Exception):
    """A caller asks for what is not theirs."""

    def __init__(self, fault: HttpFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


async def admit(request: Request) -> None:
    """Let a caller pass to a route that is theirs. Raises ``NotAllowedError``."""
    caller = caller_of(request)
    named = (request.method, request.scope["route"].path_format)
    if named in ROLES and caller.may(role := ROLES[named]):
        return
    if caller.key is None and not caller.anything:
        raise NotAllowedError(NO_KEY)
    needed = f"needs the role {role}" if named in ROLES else "is in no table of roles"
    raise NotAllowedError(HttpFault(403, "forbidden", f"this route {needed}, which this key has not"))


def caller_of(request: Request) -> Caller:
    """Return who asks, as the front door says; without one it is nobody."""
    caller: Caller = request.scope.get("caller", NOBODY)
    return caller
