"""The command line: one thin command per verb. What a verb does stands in ``commands``.

Exit codes: 0 done, 1 refused or failed with the reason on stderr, 2 wrong usage. ``--json`` on every command that prints a result.
Heavy modules are imported inside the verb that needs them, so that ``--help`` is instant.
"""

import asyncio
import logging
import runpy
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A streaming learner for product search."
)
dlq_app = typer.Typer(no_args_is_help=True, help="Dead letters: the refused records, and why they were refused.")
app.add_typer(dlq_app, name="dlq")
gate_app = typer.Typer(no_args_is_help=True, help="How many queries a verdict needs, and which queries are pinned.")
app.add_typer(gate_app, name="gate")

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the stack; default .searchloop or SEARCHLOOP_DATA_DIR.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]
Since = Annotated[float | None, typer.Option("--since-hours", help="Only those refused within the last hours.")]
Until = Annotated[float | None, typer.Option("--until-hours", min=0, help="Only what was refused at least so many hours ago.")]
TopicName = Annotated[str | None, typer.Option("--topic", help="Only those of this topic.")]
WhyRefused = Annotated[str | None, typer.Option("--refused-for", help="Only those refused for this reason.")]
Target = Annotated[int | None, typer.Option("--to", help="The generation to go to.")]
At = Annotated[str | None, typer.Option("--at", help="A moment, ISO 8601, UTC where it names no zone.")]
Force = Annotated[bool, typer.Option("--force", help="Even if pinned, paused, cooling down or rolled back before; needs --reason.")]
Expected = Annotated[int | None, typer.Option("--expected", help="Refuse unless this generation is live.")]


@app.command()
def up(
    data_dir: DataDir = None,
    kafka_port: Annotated[int | None, typer.Option(min=1024, max=65535, help="Kafka's port; by default that of last time.")] = None,
    milvus_port: Annotated[int | None, typer.Option(min=1024, max=65535, help="Milvus' port; by default that of last time.")] = None,
) -> None:
    """Start Kafka, Milvus and the four processes on this machine, and keep them running until Ctrl-C."""
    from commands.up import start

    raise SystemExit(start(data_dir, kafka_port=kafka_port, milvus_port=milvus_port))


@app.command()
def demo(
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated shop.")] = 7,
    keep: Annotated[bool, typer.Option(help="Keep the data directory afterwards.")] = False,
) -> None:
    """Run the whole loop once with a simulated shop, check every promise, and end by itself."""
    from commands.demo import run_demo

    raise SystemExit(asyncio.run(run_demo(data_dir, seed=seed, keep=keep)))


def _process(name: str, *arguments: str) -> None:
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


@app.command()
def stream(
    only: Annotated[
        Literal["intake", "learn"] | None, typer.Option(help="Run only intake, or only attribution and aggregation (learn).")
    ] = None,
) -> None:
    """Run intake, attribution and aggregation."""
    _process("stream", *(("--only", only) if only else ()))


@app.command()
def trainer() -> None:
    """Run the trainer."""
    _process("trainer")


@app.command()
def indexer() -> None:
    """Run the indexer, the only writer of Milvus."""
    _process("indexer")


@app.command()
def searcher() -> None:
    """Run a searcher."""
    _process("searcher")


@app.command()
def send(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="TOPIC FILE [TOPIC FILE]...", help="searches, interactions, products or erasures; JSON lines, .gz or -."),
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
    send_invalid: Annotated[bool, typer.Option(help="Send refused lines too; they end as dead letters.")] = False,
) -> None:
    """Send JSON lines to raw topics, validated; several files are merged by event time."""
    from commands.send import send as run
    from commands.support.session import stop

    if len(sources) % 2:
        stop("a topic and a file are needed, or several such pairs", code=2)
    run(list(zip(sources[::2], sources[1::2], strict=True)), data_dir=data_dir, as_json=as_json, send_invalid=send_invalid)


@app.command("import")
def import_(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="ubi-queries, ubi-events, algolia, segment, ga4, google, online-retail.")],
    file: Annotated[str, typer.Argument(help="JSON lines, CSV for online-retail; .gz works; - reads stdin.")],
    position_base: Annotated[int | None, typer.Option(min=0, max=1, help="Position of the first hit: 1, and 0 for ga4.")] = None,
    product_field: Annotated[str | None, typer.Option(help="segment: the property that is the catalogue's id.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Convert and check, send nothing.")] = False,
    allow_refused: Annotated[bool, typer.Option("--allow-refused", help="Exit 0 even if lines were refused.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Import another system's events, validated, and say where every line went."""
    from commands.import_ import import_file as run

    run(
        form,
        file,
        position_base=position_base,
        product_field=product_field,
        dry_run=dry_run,
        allow_refused=allow_refused,
        data_dir=data_dir,
        as_json=as_json,
    )


@app.command()
def export(
    form: Annotated[
        Literal["ubi", "pairs"], typer.Argument(metavar="FORMAT", help="ubi: searches and interactions; pairs: what was learnt.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Where to write the files, two of JSON lines.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write searches and interactions as UBI 1.3 files, or pairs as flat rows."""
    from commands.export import export_pairs
    from commands.import_ import export_ubi

    (export_ubi if form == "ubi" else export_pairs)(folder, data_dir=data_dir, as_json=as_json)


@app.command()
def search(
    query: str,
    k: Annotated[int, typer.Option("--k", help="How many hits.")] = 10,
    client: Annotated[str | None, typer.Option(help="client_id; what is shown is then written to searches.")] = None,
    timeout_ms: int = 5000,
    explain: bool = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send one search over Kafka and show the answer."""
    from commands.search import search as run

    run(query, k=k, client=client, timeout_ms=timeout_ms, explain=explain, data_dir=data_dir, as_json=as_json)


@app.command()
def train(
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; 0 only when deployed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train and evaluate; deploy nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Deploy whatever the verdict, if the artefact is sound.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Needed with --force.")] = None,
    base: Annotated[
        Literal["live", "pristine"], typer.Option(help="Model to start from: the live one, or the pretrained one (pristine).")
    ] = "live",
    param: Annotated[list[str] | None, typer.Option("--param", help="name=value, for this run only.")] = None,
    cancel: Annotated[str | None, typer.Option("--cancel", help="End the run with this id instead; 0 only when it was cancelled.")] = None,
    timeout_s: Annotated[float, typer.Option(help="Stop waiting after so many seconds without progress of any run.")] = 1800,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a training run, or for the end of one."""
    from commands import deploy as verbs

    if cancel:
        verbs.cancel(cancel, timeout_s=min(timeout_s, 60), data_dir=data_dir, as_json=as_json)
        return
    verbs.train(
        wait=wait,
        dry_run=dry_run,
        force=force,
        reason=reason,
        base=base,
        params=param or [],
        timeout_s=timeout_s,
        data_dir=data_dir,
        as_json=as_json,
    )


@app.command()
def evaluate(
    release: Annotated[int | None, typer.Option("--release", help="The generation to score; default the live one.")] = None,
    judgments: Annotated[
        Path | None, typer.Option("--judgments", help="JSON lines of query, product_id, relevance; .gz works. Default: the newest days.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Keep the judgments under this name; default that of the file.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a report for people to this file.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare a release with the pretrained model and BM25."""
    from commands.evaluate import evaluate as run

    run(release=release, judgments=judgments, name=name, html=html, data_dir=data_dir, as_json=as_json)


@app.command()
def runs(run_id: Annotated[str | None, typer.Argument()] = None, at: At = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List training runs, or show one."""
    from commands.status import runs as run

    run(run_id, at=at, data_dir=data_dir, as_json=as_json)


@app.command()
def releases(at: At = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List generations, or say what served at a moment and who promoted it."""
    from commands.status import releases as run

    run(at=at, data_dir=data_dir, as_json=as_json)


@app.command()
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show what runs and what serves."""
    from commands.status import status as run

    run(data_dir=data_dir, as_json=as_json)


@app.command()
def pairs(
    query: str,
    days: Annotated[bool, typer.Option("--days", help="Show the counts of every day too.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Weigh beside all pairs, not those of the query's partition.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what was learnt for a query, and what it weighs in training now."""
    from commands.pairs import pairs as run

    run(query, days=days, whole=whole, data_dir=data_dir, as_json=as_json)


@app.command()
def explain(
    identifier: Annotated[str | None, typer.Argument(help="A run, decision or event id.")] = None,
    at: At = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the evidence of a verdict and derive it again, or what became of an event."""
    from commands.explain import explain as run

    run(identifier, at=at, data_dir=data_dir, as_json=as_json)


@app.command()
def forget(
    client: Annotated[str | None, typer.Option(help="The client_id of the shopper's events.")] = None,
    session: Annotated[str | None, typer.Option(help="Its session_id, where the events name no client.")] = None,
    user: Annotated[str | None, typer.Option(help="Its user_id, where they name neither.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until no pair names it any more.")] = True,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Ask nothing of Kafka: only rewrite the files of the runs on this machine.")
    ] = False,
    timeout_s: float = 60,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget a shopper: take back what it has earned and erase it from every pair and run."""
    from commands.forget import forget as run

    run(
        client=client,
        session=session,
        user=user,
        wait=wait,
        files_only=files_only,
        timeout_s=timeout_s,
        data_dir=data_dir,
        as_json=as_json,
    )


@app.command()
def rollback(
    to: Target = None,
    expected: Expected = None,
    force: Force = False,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Roll back to the previous generation, or to one that still has its index."""
    from commands.deploy import deploy

    deploy("rollback", target=to, expected=expected, force=force, reason=reason, data_dir=data_dir, as_json=as_json)


@app.command()
def promote(
    to: Annotated[int, typer.Argument(help="The generation to serve.")],
    expected: Expected = None,
    force: Force = False,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Serve a generation that still has its index."""
    from commands.deploy import deploy

    deploy("promote", target=to, expected=expected, force=force, reason=reason, data_dir=data_dir, as_json=as_json)


def _switch(name: Literal["pause", "resume", "pin", "unpin", "abort"], summary: str) -> None:
    @app.command(name, help=summary)
    def run(reason: Reason = "", data_dir: DataDir = None, as_json: AsJson = False) -> None:
        from commands.deploy import deploy

        deploy(name, target=None, expected=None, reason=reason, data_dir=data_dir, as_json=as_json)


_switch("pause", "Refuse promotes until resume.")
_switch("resume", "Accept promotes again.")
_switch("pin", "Keep the live generation whatever is promoted, until unpin.")
_switch("unpin", "Let the live generation change again.")
_switch("abort", "End the build that runs.")


@dlq_app.command("list")
def dlq_list(
    topic: TopicName = None,
    refused_for: WhyRefused = None,
    since_hours: Since = None,
    until_hours: Until = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Count dead letters by topic and reason."""
    from commands.dlq import list_letters

    list_letters(topic=topic, reason=refused_for, since=_hours(since_hours), until=_hours(until_hours), data_dir=data_dir, as_json=as_json)


@dlq_app.command("show")
def dlq_show(
    topic: TopicName = None,
    refused_for: WhyRefused = None,
    since_hours: Since = None,
    until_hours: Until = None,
    limit: Annotated[int, typer.Option(min=1)] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show dead letters with their bytes."""
    from commands.dlq import show_letters

    show_letters(
        topic=topic,
        reason=refused_for,
        since=_hours(since_hours),
        until=_hours(until_hours),
        limit=limit,
        data_dir=data_dir,
        as_json=as_json,
    )


@dlq_app.command("replay")
def dlq_replay(
    topic: TopicName = None,
    refused_for: WhyRefused = None,
    since_hours: Since = None,
    until_hours: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="Send at most so many, the oldest first.")] = 100_000,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to where they came from, at most three times each."""
    from commands.dlq import replay_letters

    replay_letters(
        topic=topic,
        reason=refused_for,
        since=_hours(since_hours),
        until=_hours(until_hours),
        limit=limit,
        dry_run=dry_run,
        data_dir=data_dir,
        as_json=as_json,
    )


@dlq_app.command("skip")
def dlq_skip(
    topic: Annotated[str, typer.Argument(help="Name without prefix, such as interactions.")],
    partition: Annotated[int, typer.Argument(min=0)],
    offset: Annotated[int, typer.Argument(min=0)],
    reason: Annotated[str, typer.Option("--reason", help="Why; stands in the dead letter and in the topic skipped.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Pass over a record that ends a process at every start. It becomes a dead letter that names you."""
    from commands.dlq import skip_record

    skip_record(topic, partition, offset, reason=reason, data_dir=data_dir, as_json=as_json)


@gate_app.command("power")
def gate_power(
    gain: Annotated[float | None, typer.Option(help="A gain in nDCG@10, such as 0.02; by default several.")] = None,
    sd: Annotated[float | None, typer.Option(help="Spread of the differences per query; by default that of the newest runs.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say how many test queries it takes to see a gain with 80 and 90 % power."""
    from commands.gate import power

    power(gain=gain, sd=sd, data_dir=data_dir, as_json=as_json)


@gate_app.command("pin")
def gate_pin(
    query: str,
    products: Annotated[list[str], typer.Argument(help="Product ids that must stay among the first k.")],
    k: Annotated[int, typer.Option("--k", min=1, max=50)] = 10,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Pin products to a query: a candidate that loses one of them fails."""
    from commands.gate import pin as run

    run(query, products, k=k, data_dir=data_dir, as_json=as_json)


@gate_app.command("unpin")
def gate_unpin(query: str, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Take a pinned query out."""
    from commands.gate import unpin as run

    run(query, data_dir=data_dir, as_json=as_json)


@gate_app.command("list")
def gate_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the pinned queries."""
    from commands.gate import list_pins

    list_pins(data_dir=data_dir, as_json=as_json)


@app.command()
def schemas(check: Annotated[bool, typer.Option("--check", help="Only say whether they are up to date.")] = False) -> None:
    """Write the published schemas and the table of settings from the code."""
    _process("schemas.publish", *(("--check",) if check else ()))


@app.command()
def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say whether this machine can run searchloop."""
    from commands.doctor import doctor as run

    run(data_dir=data_dir, as_json=as_json)


def _hours(hours: float | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its retries are not the reader's business
    try:
        app()
    except Exception as error:  # the one outermost handler: a sentence for what an operator can mend, a traceback for the rest
        from commands.support.failures import sentence
        from commands.support.session import stop

        known = sentence(error)
        if known is None:
            raise
        stop(known[0], code=known[1])


if __name__ == "__main__":
    main()
