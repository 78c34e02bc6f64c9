"""The broker's two configuration files, as text.

One node that is broker and controller at once, small enough for a laptop.
"""

from pathlib import Path

from embedded.ports import HOST

_DAY_MINUTES = 24 * 60
_MB = 1 << 20
LARGEST_RECORD_BYTES = 8 * _MB
# A client library puts one batch of each partition into one request: two of the largest records, or 64 of our
# usual batches.
LARGEST_REQUEST_BYTES = 2 * LARGEST_RECORD_BYTES


def heap_mb(memory_bytes: int) -> int:
    """Return the broker's heap for a machine with so much memory.

    A 96th, between 256 MB (which the largest records need) and 1 GB.

    >>> heap_mb(8 << 30), heap_mb(24 << 30), heap_mb(256 << 30)
    (256, 256, 1024)
    """
    return max(256, min(1024, memory_bytes // 96 // _MB))


def server_properties(
    data: Path, port: int, controller_port: int, advertised_port: int | None = None, *, heap: int = 256
) -> str:
    """Return ``server.properties``: KRaft, one combined node, everything on 127.0.0.1, records in ``data``.

    ``heap`` is in MB. Clients are told to come to ``advertised_port``, by default to ``port``.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{advertised_port or port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data.as_posix(),
        # One node keeps one copy of everything.
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        # Topics are made on purpose, by broker/topics.py; the number is for those that Faust declares.
        "auto.create.topics.enable": "false",
        "num.partitions": 4,
        "message.max.bytes": LARGEST_RECORD_BYTES,
        # A request's memory is taken when its size is announced, before a byte of it came: by default three
        # connections of five bytes took all of the heap. Above half of it further requests wait, and a
        # connection that goes silent in one is closed.
        "socket.request.max.bytes": LARGEST_REQUEST_BYTES,
        "queued.max.request.bytes": heap * _MB // 2,
        "connections.max.idle.ms": 60_000,
        "fetch.max.bytes": 2 * LARGEST_RECORD_BYTES,
        "group.initial.rebalance.delay.ms": 0,
        # A directory that rested for months goes on where it stopped.
        "offsets.retention.minutes": 3650 * _DAY_MINUTES,
        # After a crash the broker comes back when its old session is over; the default is 9 s.
        "broker.heartbeat.interval.ms": 1000,
        "broker.session.timeout.ms": 5000,
        # The cleaner's default buffer is half of our heap.
        "log.cleaner.dedupe.buffer.size": 16 * _MB,
        "log.segment.bytes": 256 * _MB,
        "log.index.size.max.bytes": _MB,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def log4j2_properties(log_file: Path) -> str:
    """Return ``log4j2.properties``.

    Everything from INFO to a rolling file (2 x 10 MB), what an operator must see also to stdout.
    """
    lines = {
        "status": "error",
        "appender.file.type": "RollingFile",
        "appender.file.name": "file",
        "appender.file.fileName": log_file.as_posix(),
        "appender.file.filePattern": f"{log_file.as_posix()}.1",
        "appender.file.layout.type": "PatternLayout",
        "appender.file.layout.pattern": "%d %p %c{1} %m%n",
        "appender.file.policies.type": "Policies",
        "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
        "appender.file.policies.size.size": "10MB",
        "appender.file.strategy.type": "DefaultRolloverStrategy",
        "appender.file.strategy.max": "1",
        "appender.console.type": "Console",
        "appender.console.name": "console",
        "appender.console.layout.type": "PatternLayout",
        "appender.console.layout.pattern": "%p %c{1} %m%n",
        "appender.console.filter.threshold.type": "ThresholdFilter",
        "appender.console.filter.threshold.level": "error",
        "rootLogger.level": "info",
        "rootLogger.appenderRef.file.ref": "file",
        "rootLogger.appenderRef.console.ref": "console",
    }
    return "".join(f"{name} = {value}\n" for name, value in lines.items())
