"""The error of everything that Kafka or the way to it refuses.

It has the name that code outside of ``broker`` catches.
"""

from aiokafka.errors import KafkaError as BrokerError

__all__ = ["BrokerError"]
