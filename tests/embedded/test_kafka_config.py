from pathlib import Path

from embedded.kafka_config import server_properties


def told(text):
    return dict(line.split("=", 1) for line in text.splitlines())["advertised.listeners"]


def test_clients_are_told_the_brokers_own_port_or_that_of_what_stands_before_it():
    assert told(server_properties(Path("data"), 1111, 2222)) == "PLAINTEXT://127.0.0.1:1111"
    assert told(server_properties(Path("data"), 1111, 2222, 3333)) == "PLAINTEXT://127.0.0.1:3333"
