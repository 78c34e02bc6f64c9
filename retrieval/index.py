"""The one home of pymilvus.

Collections of product vectors, on Milvus Lite or on a Milvus server by the same calls. The address decides
nothing; the server's own version does: Lite gets an exact IVF_FLAT, a server HNSW. The score is the inner
product of unit vectors, so it equals the cosine. It knows no models, no releases and no commands. Calls
block.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from grpc import RpcError, StatusCode  # type: ignore[import-untyped] # ships no types
from pymilvus import DataType, MilvusClient, MilvusException
from pymilvus.client.types import LoadState

from retrieval.faults import NOT_LOADED, StoreError, meaning
from retrieval.filters import among, expression, in_index, literal
from retrieval.milvus_tls import why_no_tls
from retrieval.naming import collection_name, collection_prefix, is_generation_name
from retrieval.profile import Backend, backend_of, profile_of
from retrieval.rows import MAX_BYTES, SHOWN, IndexHit, Row, check_vectors, from_entity, to_entities, to_found
from retrieval.trait_columns import (
    MOST_TAGS,
    NOTHING,
    TAGS,
    Held,
    held_in,
    held_of,
    indexes_of,
    number_columns,
)
from schemas.connections import MilvusConnection
from schemas.hidden import redacted
from schemas.search import Filter
from schemas.settings import SettingsError

__all__ = ["IndexHit", "Row", "StoreError", "VectorStore", "collection_name", "collection_prefix"]

T = TypeVar("T")

VECTOR = "vector"
_FIELDS = ["product_id", "generation", *SHOWN, "price", "version"]
REFUSED = {StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED}
_NO_ALIAS = frozenset({100, 1600})
_PAGE = 1000
_IDS_PAGE = 10_000
MIN_TIMEOUT_S = 0.05
ANSWER_S = 5.0
_STRONG: dict[str, Any] = {"consistency_level": "Strong"}
# pymilvus pings every 10 s even when idle, and Lite cuts such a connection off (GOAWAY too_many_pings).
_GRPC = {"grpc.keepalive_time_ms": 300_000, "grpc.keepalive_permit_without_calls": False}


@dataclass(frozen=True)
class Layout:
    """The dimension of a collection's vectors, and the attributes of which it has columns."""

    dim: int
    held: Held = NOTHING


class VectorStore:
    """A connection. May be shared by threads; each collection has one writer at a time, wherever it runs."""

    def __init__(self, connection: MilvusConnection, *, deadline_s: float = 60.0) -> None:
        """Connect, and wait up to the deadline for a server that is still starting.

        Raises ``StoreError``, at once when the server does not take us for who we say; ``SettingsError`` for
        attributes that Lite shall hold.
        """
        # It logs a traceback for every error that it also raises
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self._load_lock = threading.Lock()
        self._client, version = _connect(connection, deadline_s)
        self._read_s = connection.milvus_read_timeout.total_seconds()
        self._write_s = connection.milvus_write_timeout.total_seconds()
        self._strong = _STRONG | {"timeout": self._read_s}
        self._replicas = connection.milvus_replicas
        self.version = version
        self.backend: Backend = backend_of(version)
        self._profile = profile_of(self.backend, connection)
        self._attributes = held_of(connection.indexed_attributes)
        self._layouts: dict[str, Layout] = {}
        if self._attributes and self.backend == "lite":
            self.close()
            raise SettingsError(
                "SEARCHLOOP_MILVUS_ATTRIBUTES is for a Milvus server: Lite has no index for such columns, "
                "and takes a second for a condition on one"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection up. Harmless when done twice."""
        with suppress(MilvusException):
            self._client.close()

    def answers(self, within_s: float = ANSWER_S) -> bool:
        """Say whether the server answers a question that costs nothing. Raises nothing."""
        with suppress(MilvusException, RpcError):
            return bool(self._client.get_server_version(timeout=within_s))
        return False

    def create(self, name: str, dim: int) -> None:
        """Create an empty collection without index, with columns of the attributes that the settings name.

        Raises ``StoreError`` when it exists.
        """
        if self.exists(name):
            raise StoreError(f"collection {name!r} exists already; a generation's collection is never reused")
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("product_id", DataType.VARCHAR, max_length=MAX_BYTES["product_id"], is_primary=True)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
        for field in ("generation", "version"):
            schema.add_field(field, DataType.INT64)
        for field in SHOWN:
            schema.add_field(field, DataType.VARCHAR, max_length=MAX_BYTES[field])
        for field in ("price", *number_columns(self._attributes)):
            schema.add_field(field, DataType.DOUBLE)
        if self._attributes:
            schema.add_field(TAGS, DataType.ARRAY, element_type=DataType.INT64, max_capacity=MOST_TAGS)
        self._do(
            lambda: self._client.create_collection(
                name, schema=schema, consistency_level="Bounded", timeout=self._write_s
            )
        )
        self._layouts[name] = Layout(dim, self._attributes)

    def upsert(self, name: str, rows: Sequence[Row]) -> None:
        """Write whole rows, each in place of what has its id.

        Raises ``rows.RowError`` before anything is written. All that reads sees them at once, but ``search``
        on a server within a second: it does not wait for the newest writes.
        """
        layout = self._layout(name)
        entities = to_entities(rows, layout.dim, layout.held)
        if entities:
            self._do(lambda: self._client.upsert(name, entities, timeout=self._write_s))

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Delete by id; ids that are not there are ignored.

        A server's searches see it within a second, Lite's at once.
        """
        for start in range(0, len(ids), _PAGE):
            condition = among(ids[start : start + _PAGE])
            self._do(partial(self._client.delete, name, filter=condition, timeout=self._write_s))

    def flush(self, name: str) -> None:
        """Seal what was written.

        Only in a build or before anybody searches: on Lite rows vanish for a moment meanwhile.
        """
        self._do(lambda: self._client.flush(name, timeout=self._write_s))

    def build_index(self, name: str) -> None:
        """Build the indexes that lack, after the rows were written and flushed; harmless when none does.

        Of the vectors, and of attributes as far as the server has any for them. Returns when they are built.
        """
        of_vectors = {"index_type": self._profile.index, "metric_type": "IP", "params": self._profile.build}
        of_attributes = indexes_of(self.held(name), self.version)
        wanted = {VECTOR: of_vectors} | {one: {"index_type": kind} for one, kind in of_attributes.items()}
        for field, how in wanted.items():
            # Lite refuses a second one, and indexes later rows by the first
            if not self._do(partial(self._client.list_indexes, name, field_name=field)):
                params = MilvusClient.prepare_index_params()
                params.add_index(field, **how)
                self._do(partial(self._client.create_index, name, params, timeout=self._write_s))

    def load(self, name: str) -> None:
        """Make a collection searchable; harmless when it is.

        One at a time: Lite loses writes when two threads open it at once. Waits for as long as it gets on:
        raises ``StoreError`` once ``milvus_write_timeout`` went by without progress.
        """
        with self._load_lock:
            while_it_moves(
                lambda: self._do(
                    lambda: self._client.load_collection(
                        name, replica_number=self._replicas, timeout=self._write_s
                    )
                ),
                lambda: self._percent(name),
            )

    def _percent(self, name: str) -> int:
        state = self._do(lambda: self._client.get_load_state(name, timeout=30.0))
        return int(state.get("progress", 0))

    def loaded(self, name: str) -> bool:
        """Say whether a collection is searchable now."""
        state = self._do(lambda: self._client.get_load_state(name, timeout=30.0))
        return bool(state["state"] == LoadState.Loaded)

    def count(self, name: str) -> int:
        """Return the number of rows.

        On Lite rows may count twice after a crash, until the next flush; ``ids`` is exact.
        """
        found = self._loaded(
            name, partial(self._client.query, name, filter="", output_fields=["count(*)"], **self._strong)
        )
        return int(found[0]["count(*)"])

    def ids(self, name: str, *, page: int = _IDS_PAGE) -> set[str]:
        """Return the id of every row, read in pages by rising id.

        Not by the client's iterator: a quote in an id breaks its cursor, and on a server it misses the
        newest writes.
        """
        # Each orders by id
        ordered = {"iterator": "True"} if self.backend == "lite" else {"reduce_stop_for_best": "True"}
        read = partial(
            self._client.query, name, output_fields=["product_id"], limit=page, **ordered, **self._strong
        )
        found: set[str] = set()
        condition = ""
        while more := {str(e["product_id"]) for e in self._loaded(name, partial(read, filter=condition))}:
            found |= more
            condition = f"product_id > {literal(max(more))}"
        return found

    def rows(
        self, name: str, ids: Sequence[str], *, newest: bool = True, timeout_s: float = 60.0
    ) -> list[Row]:
        """Return the rows that are there, vectors included, in the order of ``ids``.

        ``newest``: also what was written a moment ago, for which a server waits.
        """
        how, end = self._strong if newest else {}, time.monotonic() + timeout_s
        by_id: dict[str, Row] = {}
        for start in range(0, len(ids), _PAGE):
            condition = among(ids[start : start + _PAGE])
            get = partial(
                self._client.query,
                name,
                filter=condition,
                output_fields=[*_FIELDS, VECTOR],
                **how | {"timeout": max(MIN_TIMEOUT_S, end - time.monotonic())},
            )
            by_id |= {row.product_id: row for row in map(from_entity, self._loaded(name, get))}
        return [by_id[i] for i in dict.fromkeys(ids) if i in by_id]

    def search(
        self,
        name: str,
        vectors: npt.NDArray[np.float32],
        k: int,
        *,
        filters: Sequence[Filter] = (),
        only: Sequence[str] | None = None,
        timeout_s: float = 5.0,
    ) -> list[list[IndexHit]]:
        """Return per vector at most k hits by falling score, a tie by the smaller id, each product once.

        An empty list for none. ``vectors`` are (n, dim) unit rows. ``only``: of these products, where they
        meet the filters; None: of all. Raises ``FilterError``, ``RowError``, and ``StoreError``, also for a
        condition on what the collection has no column of.
        """
        if not len(vectors):
            return []
        search = self._search_of(name, vectors, k, filters, only)
        return [to_found(hits, k) for hits in self._loaded(name, partial(search, timeout=timeout_s))]

    def begin_search(
        self,
        name: str,
        vectors: npt.NDArray[np.float32],
        k: int,
        *,
        filters: Sequence[Filter] = (),
        timeout_s: float = 5.0,
    ) -> Callable[[], list[list[IndexHit]]]:
        """Begin a ``search``; return what waits for its end and returns the hits.

        What fails is searched once more in the time that is left: so a collection is loaded where it has to
        be, and the error says what is wrong. Raises as ``search``, at once or in the end.
        """
        end = time.monotonic() + timeout_s
        if not len(vectors):
            return list
        begun = self._search_of(name, vectors, k, filters, None)(timeout=timeout_s, _async=True)

        def ended() -> list[list[IndexHit]]:
            try:
                return [to_found(hits, k) for hits in begun.result()]
            except (MilvusException, RpcError):
                left_s = max(MIN_TIMEOUT_S, end - time.monotonic())
                return self.search(name, vectors, k, filters=filters, timeout_s=left_s)

        return ended

    def _search_of(
        self,
        name: str,
        vectors: npt.NDArray[np.float32],
        k: int,
        filters: Sequence[Filter],
        only: Sequence[str] | None,
    ) -> Callable[..., Any]:
        layout = self._layout(name)
        check_vectors(vectors, layout.dim)
        if lacking := sorted({f.field for f in filters if not in_index(f, layout.held)}):
            # It was built again since the conditions were chosen by its columns
            raise StoreError(f"collection {name!r} has no column of {', '.join(lacking)}", retryable=True)
        parts = expression(filters, layout.held), "" if only is None else among(only)
        condition = " and ".join(filter(None, parts))
        given = self._profile.narrowed if condition else self._profile.search
        params = {key: max(value, k) if key == "ef" else value for key, value in given.items()}
        return partial(
            self._client.search,
            name,
            list(vectors),
            filter=condition,
            limit=k,
            output_fields=_FIELDS,
            anns_field=VECTOR,
            search_params={"params": params},
        )

    def dim(self, name: str) -> int:
        """Return the dimension of a collection's vectors."""
        return self._layout(name).dim

    def held(self, name: str) -> Held:
        """Return the attributes of which a collection has columns."""
        return self._layout(name).held

    def _layout(self, name: str) -> Layout:
        if name not in self._layouts:
            described = self._do(lambda: self._client.describe_collection(name, timeout=30.0))
            fields = {f["name"]: f for f in described["fields"]}
            self._layouts[name] = Layout(int(fields[VECTOR]["params"]["dim"]), held_in(fields))
        return self._layouts[name]

    def exists(self, name: str) -> bool:
        """Say whether a collection of that name exists (an alias counts as its collection)."""
        return bool(self._do(lambda: self._client.has_collection(name, timeout=30.0)))

    def collections(self) -> list[str]:
        """Return the names of all collections, sorted.

        Lite opens each of them for this: not for health checks.
        """
        return sorted(self._do(self._client.list_collections))

    def drop(self, name: str) -> None:
        """Drop a generation's collection; harmless when it is gone.

        Raises ``StoreError`` for any other name and for one that an alias points to: Lite would drop both
        without a word.
        """
        if not is_generation_name(name):
            raise StoreError(f"{name!r} is not the name of a generation's collection, it is not dropped")
        if not self.exists(name):
            return
        aliases = self._do(lambda: self._client.list_aliases(name, timeout=30.0))["aliases"]
        if aliases:
            raise StoreError(
                f"collection {name!r} is the target of alias {', '.join(aliases)}, it is not dropped"
            )
        self._do(lambda: self._client.drop_collection(name, timeout=60.0))
        self._layouts.pop(name, None)

    def set_alias(self, alias: str, name: str) -> None:
        """Point an alias at a collection. For operators: nothing in searchloop searches through an alias."""
        change = self._client.create_alias if self.alias_target(alias) is None else self._client.alter_alias
        self._do(lambda: change(name, alias, timeout=30.0))

    def drop_alias(self, alias: str) -> None:
        """Take an alias away; its collection stays."""
        self._do(lambda: self._client.drop_alias(alias, timeout=30.0))

    def alias_target(self, alias: str) -> str | None:
        """Return the collection that an alias points to, or None when there is no such alias."""
        try:
            return str(self._client.describe_alias(alias, timeout=30.0)["collection_name"])
        except MilvusException as error:
            if error.code in _NO_ALIAS:
                return None
            raise _translated(error) from error

    def _loaded(self, name: str, call: Callable[[], T]) -> T:
        """Call; when the collection is not loaded, load it and call once more.

        Lite releases all of them at its start.
        """
        try:
            return call()
        except (MilvusException, RpcError) as error:
            if error.code not in NOT_LOADED:
                translated = _translated(error)
                if translated.missing or translated.refused:
                    self._layouts.pop(name, None)  # it may have been built again, with other columns
                raise translated from error
        self.load(name)
        return self._do(call)

    def _do(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except (MilvusException, RpcError) as error:
            raise _translated(error) from error


def while_it_moves(call: Callable[[], T], progress: Callable[[], int]) -> T:
    """Call, and call again after a time-out for as long as ``progress`` has grown meanwhile.

    Raises ``StoreError``.
    """
    before = 0
    while True:
        try:
            return call()
        except StoreError as error:
            now = progress() if error.late else before
            if now <= before:
                raise
            before = now


def _connect(connection: MilvusConnection, deadline_s: float) -> tuple[MilvusClient, str]:
    end = time.monotonic() + deadline_s
    pause_s = 0.1
    options = _options(connection)
    while True:
        try:
            client = MilvusClient(**options)
            return client, str(client.get_server_version(timeout=10.0))
        except (MilvusException, RpcError) as error:
            if _is_refused(error):
                raise StoreError(
                    f"Milvus at {redacted(connection.milvus)} refuses us: wrong user, password or API key in "
                    "SEARCHLOOP_MILVUS_TOKEN, or no right on the database"
                ) from None
            if (reason := why_no_tls(connection)) is not None:
                raise StoreError(f"Milvus at {redacted(connection.milvus)} {reason}") from None
            if time.monotonic() + pause_s > end:
                raise StoreError(
                    f"no Milvus at {redacted(connection.milvus)} within {deadline_s:.0f} s: "
                    f"{redacted(str(error))}",
                    retryable=True,
                ) from error
        time.sleep(pause_s)
        pause_s = min(2.0, pause_s * 1.6)


def _options(connection: MilvusConnection) -> dict[str, Any]:
    """Return what a client is made with. Raises ``StoreError`` for a file that cannot be read."""
    options: dict[str, Any] = {"uri": connection.milvus, "timeout": 10.0, "grpc_options": _GRPC}
    try:
        if token := connection.token():
            options["token"] = token
        if connection.milvus_ca:
            Path(connection.milvus_ca).read_bytes()
            options["server_pem_path"] = connection.milvus_ca
    except OSError as error:
        raise StoreError(f"milvus: {error.filename} cannot be read: {error.strerror}") from error
    if connection.milvus_database:
        options["db_name"] = connection.milvus_database
    return options


def _is_refused(error: BaseException | None) -> bool:
    """Say whether a server does not know us: it will not change its mind.

    The client says of every fault that it could not connect; what the server said lies behind it.
    """
    seen: set[int] = set()  # the client raises errors from themselves
    while error is not None and id(error) not in seen:
        if isinstance(error, RpcError) and error.code() in REFUSED:
            return True
        seen.add(id(error))
        error = error.__cause__
    return False


def _translated(error: Exception) -> StoreError:
    if isinstance(error, MilvusException):
        return meaning(error.code, str(error.message))
    return meaning(error.code(), str(error.details()))  # type: ignore[attr-defined] # an RpcError
