"""How Kafka and Milvus are reached: addresses, who we are to them, and how long we wait.

Part of the settings of every process. What is secret is a ``SecretStr``: it is never shown, written or
logged, and goes nowhere but to the client library and to child processes.
"""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from schemas.bounds import INDEXED_ATTRIBUTES
from schemas.hidden import hide

_KAFKA_ADDRESS = re.compile(r"\s*(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\s*")
_SECRET = SecretStr("")
Timeout = Annotated[timedelta, Field(ge=timedelta(seconds=1))]


class KafkaConnection(BaseModel):
    """One Kafka cluster, and who we are to it. The only thing from which a client of Kafka is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kafka: str = Field(
        "127.0.0.1:9092", description="Bootstrap address of the Kafka cluster, host:port[,host:port]."
    )
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        description="How brokers are talked to: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "SCRAM-SHA-512",
        description="How a SASL user is proved: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.",
    )
    kafka_user: str = Field("", description="The SASL user.")
    kafka_password: SecretStr = Field(_SECRET, description="The password of the SASL user.")
    kafka_password_file: str = Field(
        "", description="File that holds the password instead; read for each new client."
    )
    kafka_token_file: str = Field(
        "", description="File that holds the token of OAUTHBEARER; read anew for each connection."
    )
    kafka_token_provider: str = Field(
        "",
        description="Name of an entry point of the group `searchloop.kafka_tokens`: an async function "
        "without arguments that returns the token of OAUTHBEARER, asked for each connection.",
    )
    kafka_ca: str = Field(
        "",
        description="PEM file of the authorities that sign the brokers' certificates; empty: the system's.",
    )
    kafka_certificate: str = Field(
        "", description="PEM file of our own certificate (mTLS), and of its key, unless `kafka_key` names it."
    )
    kafka_key: str = Field("", description="PEM file of the key of our certificate.")
    kafka_key_password: SecretStr = Field(_SECRET, description="Password of an encrypted key.")
    kafka_key_password_file: str = Field("", description="File that holds it instead.")
    kafka_client_id: str = Field(
        "searchloop",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="What client ids begin with; the process and its role follow.",
    )
    kafka_rack: str = Field(
        "",
        description="Rack, or zone, of this process: it reads from replicas there (KIP-392), but for the two "
        "Faust agents, whose driver does not pass it on.",
    )
    kafka_member: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,200}$",
        description="Name under which this process is a member of its groups for good (KIP-345), one "
        "of its own, as that of a pod of a StatefulSet: a restart moves no partition. Empty: "
        "a member leaves when it ends.",
    )
    kafka_member_timeout: Timeout = Field(
        timedelta(seconds=45),
        description="With `kafka_member`: how long its partitions wait for it, at least as long as a restart "
        "takes; then others get them.",
    )
    kafka_timeout: Timeout = Field(
        timedelta(seconds=40),
        description="How long a broker may take for an answer; for the two Faust agents it is 90 s.",
    )
    kafka_write_timeout: Timeout = Field(
        timedelta(seconds=60), description="How long a broker may take to acknowledge what is written."
    )

    signing_key_file: str = Field(
        "",
        description="File with a secret of 32 bytes or more, the same for trainer, indexer, API and "
        "operators: decisions and deployment commands are signed by it, and the indexer believes no "
        "others. Empty: who may write to these topics may deploy.",
    )

    @field_validator("kafka")
    @classmethod
    def _is_addresses(cls, text: str) -> str:
        if not all(map(_KAFKA_ADDRESS.fullmatch, text.split(","))):
            raise ValueError(
                "host:port[,host:port] is expected, without scheme, user and password: those are "
                "kafka_security, kafka_user and kafka_password"
            )
        return text

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        tokens = bool(self.kafka_token_file) + bool(self.kafka_token_provider)
        if not self.uses_sasl and (self.kafka_user or tokens):
            yield f"kafka_security: {self.kafka_security} sends no user; SASL_SSL does"
        elif self.uses_sasl and self.kafka_mechanism == "OAUTHBEARER":
            if tokens != 1:
                yield "kafka_mechanism: OAUTHBEARER needs kafka_token_file or kafka_token_provider"
        elif self.uses_sasl:
            if not self.kafka_user:
                yield f"kafka_user: {self.kafka_security} needs a user"
            if not (self.kafka_password_file or self.kafka_password.get_secret_value()):
                yield "kafka_password: a user needs a password, or kafka_password_file"
        if not self.uses_tls and (self.kafka_ca or self.kafka_certificate):
            yield f"kafka_security: {self.kafka_security} takes no certificates; SASL_SSL does"
        if self.kafka_key and not self.kafka_certificate:
            yield "kafka_certificate: kafka_key is the key of a certificate"

    def session(self, usual: timedelta) -> timedelta:
        """Return after which silence a member's partitions go to another; ``usual`` without a name."""
        return max(usual, self.kafka_member_timeout) if self.kafka_member else usual

    @property
    def uses_sasl(self) -> bool:
        """Say whether a user or a token is sent."""
        return self.kafka_security.startswith("SASL")

    @property
    def uses_tls(self) -> bool:
        """Say whether connections are encrypted."""
        return self.kafka_security.endswith("SSL")


class MilvusConnection(BaseModel):
    """One Milvus, and who we are to it. The only thing from which a client of Milvus is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    milvus: str = Field(
        "http://127.0.0.1:19530",
        description="Address of Milvus; https for TLS. A user and a password in it count as `milvus_token`.",
    )
    milvus_token: SecretStr = Field(_SECRET, description="An API key, or user:password.")
    milvus_token_file: str = Field("", description="File that holds it instead.")
    milvus_database: str = Field("", description="Database in which the collections lie; empty: the default.")
    milvus_ca: str = Field(
        "", description="PEM file of the authority that signs Milvus' certificate; empty: the usual ones."
    )
    milvus_read_timeout: Timeout = Field(
        timedelta(seconds=60), description="How long a call may take that reads rows. A search has its own."
    )
    milvus_write_timeout: Timeout = Field(
        timedelta(seconds=300),
        description="How long one may take that writes, builds an index or loads; a load that gets on may.",
    )
    milvus_index: str = Field(
        "",
        pattern=r"^[A-Z0-9_]{0,40}$",
        description="Type of the vector index of new generations, as DISKANN. Empty: HNSW on a server (M "
        "32, efConstruction 256, ef 256, under conditions 1024), IVF_FLAT on Lite.",
    )
    milvus_index_params: str = Field(
        "", description='With `milvus_index`: what it is built with, in JSON: `{"M": 32}`.'
    )
    milvus_search_params: str = Field(
        "", description='With `milvus_index`: what it is searched with, in JSON: `{"ef": 256}`.'
    )
    milvus_attributes: str = Field(
        "",
        description="Attributes of products, separated by commas, at most 20, of which new generations have "
        "columns with an index on a Milvus server: conditions on them are answered there, those on others by "
        "the searcher. Empty: none. Milvus Lite refuses it.",
    )
    milvus_replicas: int = Field(
        1, ge=1, le=64, description="Copies of a loaded collection, on as many query nodes of a cluster."
    )

    @model_validator(mode="before")
    @classmethod
    def _user_of_the_address(cls, given: object) -> object:
        """Move user and password from the address to the token: an address is shown."""
        if not isinstance(given, dict) or not isinstance(address := given.get("milvus"), str):
            return given
        if "@" not in address.partition("//")[2].partition("/")[0]:
            return given
        scheme, rest = address.split("//", 1)
        user, place = rest.rsplit("@", 1)
        token = unquote(user)
        hide_token(token)
        return {**given, "milvus": f"{scheme}//{place}", "milvus_token": given.get("milvus_token") or token}

    @field_validator("milvus_index_params", "milvus_search_params")
    @classmethod
    def _is_an_object(cls, text: str) -> str:
        if text and not isinstance(_json(text), dict):
            raise ValueError("a JSON object is expected")
        return text

    @field_validator("milvus_attributes")
    @classmethod
    def _is_few_names(cls, text: str) -> str:
        names = _names(text)
        if len(names) > INDEXED_ATTRIBUTES:
            raise ValueError(f"{len(names)} attributes, at most {INDEXED_ATTRIBUTES}")
        if not all(names):
            raise ValueError("an attribute's name is empty")
        return text

    @property
    def indexed_attributes(self) -> list[str]:
        """The attributes of which new generations have columns."""
        return _names(self.milvus_attributes)

    @model_validator(mode="after")
    def _has_an_index(self) -> Self:
        if (self.milvus_index_params or self.milvus_search_params) and not self.milvus_index:
            raise ValueError("milvus_index: parameters are those of an index: name it")
        return self

    def token(self) -> str:
        """Return what Milvus knows us by; empty where it asks nobody. Raises ``OSError`` for its file."""
        found = secret_of(self.milvus_token, self.milvus_token_file)
        hide_token(found)
        return found


def _names(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")] if text.strip() else []


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def hide_token(token: str) -> None:
    """Hide a token as a whole, and its password alone."""
    hide(token)
    hide(token.partition(":")[2])


def secret_of(value: SecretStr, file: str) -> str:
    """Return a secret that stands in a setting, or in the file that is named instead.

    A line break at the file's end is none of it. Raises ``OSError``.
    """
    found = Path(file).read_text(encoding="utf-8").rstrip("\r\n") if file else value.get_secret_value()
    hide(found)
    return found
