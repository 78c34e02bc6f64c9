"""What can go wrong between a process and Kafka, by the names that code outside of ``broker`` catches.

BrokerError         Kafka, or the way to it, refuses
MissingTopicError   Kafka is there, and a topic is not: no process has started yet
"""

from aiokafka.errors import KafkaError as BrokerError

__all__ = ["BrokerError", "MissingTopicError"]


class MissingTopicError(LookupError):
    """A topic that is to be read does not exist, and reading makes none."""
