"""How a request is refused that no route answers in its own form."""

import math

from starlette.responses import Response

from api.bodies import HttpFault
from schemas.http import ApiError
from schemas.search import SearchError

JSON = "application/json"


def error_of(fault: HttpFault) -> SearchError:
    """Return the fault as bodies show it."""
    return SearchError(
        code=fault.code,
        message=fault.message,
        retryable=fault.retry_after_ms is not None,
        retry_after_ms=fault.retry_after_ms,
    )


def retry_after(error: SearchError | None) -> dict[str, str]:
    """Return the header that says when to try again, in whole seconds; none when nobody can say."""
    if error is None or error.retry_after_ms is None:
        return {}
    return {"Retry-After": str(max(1, math.ceil(error.retry_after_ms / 1000)))}


def refusal(fault: HttpFault) -> Response:
    """Return the response of a request that is not worked on."""
    error = error_of(fault)
    return Response(
        ApiError(error=error).to_json(), fault.status, headers=retry_after(error), media_type=JSON
    )
