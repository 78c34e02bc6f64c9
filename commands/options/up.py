"""What ``up`` takes."""

from typing import Annotated

import typer

from commands.options.shared import DataDir


def up(
    data_dir: DataDir = None,
    kafka_port: Annotated[
        int | None, typer.Option(min=1024, max=65535, help="Kafka's port; by default that of last time.")
    ] = None,
    milvus_port: Annotated[
        int | None, typer.Option(min=1024, max=65535, help="Milvus' port; by default that of last time.")
    ] = None,
) -> None:
    """Start Kafka, Milvus and the five processes on this machine, and keep them running until Ctrl-C."""
