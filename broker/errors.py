"""What can go wrong between a process and Kafka, by the names that code outside of ``broker`` catches.

BrokerError         Kafka, or the way to it, refuses
  AccessError       a broker does not take us for who we say, or is not who it says: told in one sentence
MissingTopicError   Kafka is there, and a topic is not: no process has started yet
"""

from aiokafka.errors import KafkaError as BrokerError

__all__ = ["AccessError", "BrokerError", "MissingTopicError"]


class MissingTopicError(LookupError):
    """A topic that is to be read does not exist, and reading makes none."""


class AccessError(BrokerError):  # type: ignore[misc] # ships no types
    """A broker refuses who we are, or is not who it says; the sentence says what to do."""

    def __str__(self) -> str:
        """Return the sentence alone."""
        return str(self.args[0])
