"""The part of the Compose specification that our files use, as strict models.

An unknown key or a wrong form is an error. The files were also read by compose-go, the parser of
``docker compose``, with its JSON schema (v2.16.2): both are valid there.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Span = Annotated[str, Field(pattern=r"^[0-9]+(ms|s|m|h)$")]
Bytes = Annotated[str, Field(pattern=r"^[0-9]+[kmg]$")]
Command = str | Annotated[list[str], Field(min_length=1)]
Mount = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*:/[a-z/_]+$")]
Port = Annotated[str, Field(pattern=r"^127\.0\.0\.1:([0-9]{2,5})?:[0-9]{2,5}$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Health(Strict):
    test: Annotated[list[str], Field(min_length=2)]
    interval: Span
    timeout: Span
    retries: Annotated[int, Field(ge=1)]
    start_period: Span | None = None


class Wish(Strict):
    condition: Literal["service_healthy"]


class Logging(Strict):
    driver: Literal["local"]


class Service(Strict):
    image: Annotated[str, Field(pattern=r"^(\$\{[A-Z_]+:-)?[a-z0-9./-]+:[A-Za-z0-9.-]+\}?$")]
    build: Literal["."] | None = None
    init: bool | None = None
    restart: Literal["unless-stopped"] | None = None
    stop_signal: Literal["SIGINT"] | None = None
    stop_grace_period: Span | None = None
    mem_limit: Bytes | None = None
    cpu_shares: Annotated[int, Field(ge=2)] | None = None
    command: Command | None = None  # the image's own
    environment: dict[str, str] = {}
    volumes: list[Mount] = []
    ports: list[Port] = []
    depends_on: dict[str, Wish] = {}
    healthcheck: Health | None = None
    logging: Logging | None = None
    security_opt: list[str] = []
    profiles: list[str] = []


class Volume(Strict):
    pass


class Compose(Strict):
    name: str
    services: dict[str, Service]
    volumes: dict[str, Volume]
