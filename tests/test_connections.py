"""How a connection's socket changes its mode, and how answers leave: by hand, without a server."""

import os
import socket
from collections.abc import Iterator
from unittest import mock

import pytest
from gunicorn.config import Config

from keyturn.ops.connections import Connection, Peer, Response

WAITING, NOT_WAITING = True, False


@pytest.fixture
def ends() -> Iterator[tuple[Peer, socket.socket]]:
    """A client's socket as the server has it, and as the client has it."""
    ours, theirs = socket.socketpair()
    with Peer(fileno=ours.detach()) as peer, theirs:
        yield peer, theirs


def test_a_mode_that_nothing_comes_of_is_not_set(ends: tuple[Peer, socket.socket]) -> None:
    peer, _ = ends
    peer.setblocking(NOT_WAITING)
    assert peer.gettimeout() == 0
    peer.settimeout(5)
    assert peer.gettimeout() == 5
    assert os.get_blocking(peer.fileno())  # as the system made it
    peer.setblocking(WAITING)
    assert peer.gettimeout() is None


def test_what_is_received_or_sent_has_the_mode_that_was_set(
    ends: tuple[Peer, socket.socket],
) -> None:
    peer, client = ends
    peer.setblocking(NOT_WAITING)
    with pytest.raises(BlockingIOError):
        peer.recv(1)
    with pytest.raises(BlockingIOError):
        peer.sendall(bytes(2**22))  # more than fits in between
    with pytest.raises(BlockingIOError):
        peer.send(b"x")
    peer.settimeout(0.001)
    with pytest.raises(TimeoutError):
        peer.recv(1)
    with pytest.raises(TimeoutError):
        peer.sendall(b"x")
    client.send(b"abc")
    peer.setblocking(WAITING)
    assert peer.recv(3) == b"abc"
    assert os.get_blocking(peer.fileno())


def test_a_connection_takes_its_socket_over() -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(Config(), ours, ("127.0.0.1", 1), ("127.0.0.1", 2))
    with connection.sock, theirs:
        connection.init()
        theirs.sendall(b"GET /users/me HTTP/1.1\r\nHost: a\r\n\r\n")
        assert next(connection.parser).path == "/users/me"
        assert isinstance(connection.sock, Peer)
    assert ours.fileno() == -1


class Answered:
    """An answer of three bytes of text, or of however many if it does not say."""

    def __init__(
        self, *headers: tuple[str, str], method: str = "GET", status: str = "200 OK"
    ) -> None:
        self.peer = mock.Mock()
        request = mock.Mock(method=method, version=(1, 1), headers=[])
        request.should_close.return_value = False
        self.response = Response(request, self.peer, Config())
        self.response.start_response(status, [("Content-Type", "text/plain"), *headers])

    @property
    def sent(self) -> list[bytes]:
        """What was sent, each packet by itself."""
        return [call.args[0] for call in self.peer.sendall.call_args_list]


LENGTH = ("Content-Length", "3")


def test_headers_leave_together_with_the_body() -> None:
    answer = Answered(LENGTH)
    answer.response.write(b"abc")
    answer.response.close()
    (packet,) = answer.sent
    head, _, body = packet.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 3" in head
    assert body == b"abc"


def test_of_more_parts_the_first_leaves_with_the_headers() -> None:
    answer = Answered()
    for part in (b"ab", b"c"):
        answer.response.write(part)
    answer.response.close()
    first, *others = answer.sent
    assert first.endswith(b"\r\n\r\n2\r\nab\r\n")
    assert others == [b"1\r\nc\r\n", b"0\r\n\r\n"]


def test_an_answer_without_a_body_is_its_headers() -> None:
    for answer in (Answered(LENGTH), Answered(LENGTH, method="HEAD")):
        answer.response.close()
        (packet,) = answer.sent
        assert packet.endswith(b"\r\n\r\n")


def test_where_the_client_is_gone_the_failure_is_told() -> None:
    answer = Answered(LENGTH)
    answer.peer.sendall.side_effect = BrokenPipeError
    with pytest.raises(BrokenPipeError):
        answer.response.write(b"abc")
    assert answer.response.sock is answer.peer


@pytest.mark.parametrize(
    ("status", "connection"),
    [("200 OK", b"keep-alive"), ("503 Service Unavailable", b"close"), ("500 Oh", b"keep-alive")],
)
def test_who_is_to_come_again_later_comes_by_a_new_connection(
    status: str, connection: bytes
) -> None:
    answer = Answered(LENGTH, status=status)
    answer.response.close()
    assert b"Connection: " + connection in answer.sent[0]
    assert answer.response.should_close() == (connection == b"close")
