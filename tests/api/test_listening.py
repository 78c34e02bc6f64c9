"""The socket of the API."""

import socket

from api.listening import listen
from schemas.settings import ApiSettings


def test_no_body_of_an_answer_waits_for_an_acknowledgement():
    """It did, 40 ms for each search."""
    with listen(ApiSettings(api_port=0)) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
