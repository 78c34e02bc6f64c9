"""What the verbs of ``dlq`` take."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir

TopicName = Annotated[str | None, typer.Option("--topic", help="Only those of this topic.")]
RefusedFor = Annotated[str | None, typer.Option("--refused-for", help="Only those refused for this reason.")]
_LONGEST_H = 1_000_000  # a century, which a calendar holds
Since = Annotated[
    float | None,
    typer.Option("--since-hours", min=0, max=_LONGEST_H, help="Only those refused within the last hours."),
]
Until = Annotated[
    float | None,
    typer.Option(
        "--until-hours", min=0, max=_LONGEST_H, help="Only what was refused at least so many hours ago."
    ),
]


def list_letters(
    topic: TopicName = None,
    refused_for: RefusedFor = None,
    since_hours: Since = None,
    until_hours: Until = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Count dead letters by topic and reason."""


def show_letters(
    topic: TopicName = None,
    refused_for: RefusedFor = None,
    since_hours: Since = None,
    until_hours: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many, the newest.")] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show dead letters with their bytes."""


def replay_letters(
    topic: TopicName = None,
    refused_for: RefusedFor = None,
    since_hours: Since = None,
    until_hours: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="Send at most so many, the oldest first.")] = 100_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to where they came from, at most three times each."""


def skip_record(
    topic: Annotated[str, typer.Argument(help="Name without prefix, such as interactions.")],
    partition: Annotated[int, typer.Argument(min=0)],
    offset: Annotated[int, typer.Argument(min=0)],
    reason: Annotated[
        str, typer.Option("--reason", help="Why; stands in the dead letter and in the topic skipped.")
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Skip a record that ends a process at every start; its dead letter says who wanted it, and why."""
