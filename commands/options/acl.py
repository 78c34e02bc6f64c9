"""What ``acl`` takes."""

from typing import Annotated, Literal

import typer

Form = Literal["kafka-acls", "strimzi", "terraform"]


def acl(
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="kafka-acls: lines for Kafka's own tools; strimzi: KafkaTopic and KafkaUser; terraform: "
            "the provider Mongey/kafka.",
        ),
    ] = "kafka-acls",
    cluster: Annotated[str, typer.Option(help="Of strimzi: the name of the Kafka resource.")] = "kafka",
    principal: Annotated[
        list[str] | None, typer.Option("--principal", help="Only what this one needs; default: everybody.")
    ] = None,
) -> None:
    """Print the topics, users and rights that searchloop needs on a cluster with access control."""
