"""The distribution over TLS: who is accepted, and what is said of who is not.

Certificates are those of openssl; the other side is a node in Python, as in
`test_misbehaving_nodes`. Real nodes are in `test_real_nodes`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
from certificates import DAYS, Authority
from loopback import new_address
from misbehaving_node import Manners, Node, packet, running

from member_entrypoint.erlang.distribution import (
    Connection,
    DistributionError,
    NoAnswerError,
    NotTlsError,
    RefusedError,
)
from member_entrypoint.erlang.tls import Tls
from member_entrypoint.release.flags import Flags, flags, words
from member_entrypoint.terms import Atom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = new_address()
NAME = "mongooseim@chat-1"
LONG, SHORT, STEP = 60.0, 1.0, 0.3
CALL: tuple[str, str, list[Any]] = ("erlang", "node", [])
VERSIONS = [
    pytest.param(ssl.TLSVersion.TLSv1_2, id="tls-1.2"),
    pytest.param(ssl.TLSVersion.TLSv1_3, id="tls-1.3"),
]


class Site:
    """Two authorities, the certificates of nodes, and a client's options in a file."""

    def __init__(self, folder: Path) -> None:
        """Make them."""
        self.folder = folder
        self.ours, self.foreign = Authority(folder, "ours"), Authority(folder, "foreign")
        self.good = self.ours.issue("good", "DNS:chat-1", "DNS:chat-2")
        self.locked = self.ours.issue("locked", "DNS:chat-1", password="key of a test")  # noqa: S106
        self.expired = self.ours.issue("expired", "DNS:chat-1", ago=DAYS + 1)
        self.elsewhere = self.ours.issue("elsewhere", "DNS:chat-9")
        self.strange = self.foreign.issue("strange", "DNS:chat-1")

    def server(
        self,
        certificate: Path | None = None,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> ssl.SSLContext:
        """Return what a node accepts connections with: of clients with our certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = version
        context.load_cert_chain(certificate or self.good)
        context.load_verify_locations(self.ours.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, *, more: str = "", **options: object) -> Tls:
        """Return what a client of ours takes; options that are given replace the good ones."""
        merged = {"certfile": self.good, "cacertfile": self.ours.ca, **options}
        terms = ", ".join(f'{{{name}, "{value}"}}' for name, value in merged.items() if value)
        (self.folder / "ssl.conf").write_text(
            f"[{{client, [{terms}, {{verify, verify_peer}}{more}]}}]."
        )
        return Tls(
            Flags(flags(words("-ssl_dist_optfile ssl.conf"))),
            str(self.folder),
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Provide the certificates."""
    return Site(tmp_path_factory.mktemp("certificates"))


def connect(node: Node, tls: Tls, timeout: float = LONG) -> Connection:
    """Connect to the node."""
    return Connection(
        node.address, NAME, "chat-2", "sample", timeout, epmd_port=node.epmd_port, tls=tls
    )


def answer(*call: Any) -> Any:
    """Give the call back."""
    return call


@pytest.mark.parametrize("version", VERSIONS)
def test_both_sides_are_verified(site: Site, version: ssl.TLSVersion) -> None:
    """The plain case: certificates of one authority, for the host of the node."""
    manners = Manners(answer=answer, context=site.server(version=version))
    with running(ADDRESS, manners) as node, connect(node, site.client()) as connection:
        for _ in range(3):
            assert connection.call(*CALL, LONG) == CALL


def test_a_key_may_be_locked_by_a_password(site: Site) -> None:
    """It stands in the options; without it nobody is asked at the terminal."""
    with running(ADDRESS, Manners(context=site.server())) as node:
        connect(node, site.client(certfile=site.locked, password="key of a test")).close()  # noqa: S106
        with pytest.raises(DistributionError, match="options of the VM cannot be used"):
            connect(node, site.client(certfile=site.locked))


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ("strange", "certificate of mongooseim@chat-1 is not accepted: unable to get local issuer"),
        ("expired", "certificate of mongooseim@chat-1 is not accepted: certificate has expired"),
        ("elsewhere", "mongooseim@chat-1 is not accepted: Hostname mismatch, .* for 'chat-1'"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_said(site: Site, theirs: str, said: str) -> None:
    """A foreign authority, a date that is over, the name of another host."""
    context = site.server(getattr(site, theirs))
    with (
        running(ADDRESS, Manners(context=context)) as node,
        pytest.raises(RefusedError, match=said),
    ):
        connect(node, site.client())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ("strange", "refuses our certificate, or our TLS: unknown ca"),
        ("expired", "refuses our certificate, or our TLS: certificate expired"),
        ("", "refuses our certificate, or our TLS: (certificate required|handshake failure)"),
    ],
)
def test_a_certificate_of_ours_that_is_refused_is_said(
    site: Site, ours: str, said: str, version: ssl.TLSVersion
) -> None:
    """With TLS 1.3 the client learns it only after the handshake."""
    certificate = getattr(site, ours) if ours else ""
    with (
        running(ADDRESS, Manners(context=site.server(version=version))) as node,
        pytest.raises(RefusedError, match=said),
    ):
        connect(node, site.client(certfile=certificate))


def test_a_host_is_not_checked_where_the_vm_does_not(site: Site) -> None:
    """With `verify_none`, or without the name of the host."""
    context = site.server(site.elsewhere)
    with running(ADDRESS, Manners(context=context)) as node:
        connect(node, site.client(more=", {server_name_indication, disable}")).close()
        (site.folder / "ssl.conf").write_text(
            f'[{{client, [{{certfile, "{site.good}"}}, {{verify, verify_none}}]}}].'
        )
        tls = Tls(Flags(flags(words("-ssl_dist_optfile ssl.conf"))), str(site.folder))
        connect(node, tls).close()


def test_what_is_not_heeded_leaves_the_verdict_to_a_vm(site: Site) -> None:
    """An option that only OTP has may accept what we do not."""
    with running(ADDRESS, Manners(context=site.server(site.strange))) as node:
        with pytest.raises(DistributionError, match="is not accepted") as error:
            connect(node, site.client(more=", {partial_chain, x}"))
        assert not isinstance(error.value, RefusedError)


def test_who_does_not_speak_tls_is_said(site: Site) -> None:
    """A member that waits without a VM is found so."""
    with socket.create_server((ADDRESS, 0)) as server:

        def talk() -> None:
            with server.accept()[0] as connection:
                connection.sendall(b"\0\x05shello")
                connection.recv(1000)

        thread = threading.Thread(target=talk)
        thread.start()
        port = server.getsockname()[1]
        with pytest.raises(NotTlsError, match="does not speak TLS"):
            Connection(ADDRESS, NAME, "chat-2", "x", LONG, node_port=port, tls=site.client())
        thread.join()


def handshake_size(manners: Manners, tls: Tls) -> int:
    """Return how many bytes a node sends in a handshake, within TLS."""
    with running(ADDRESS, manners) as node, connect(node, tls):
        pass
    return node.sent[0]


def test_a_node_that_goes_away_in_the_handshake_is_an_error(site: Site) -> None:
    """At every byte of what is in the TLS."""
    tls, context = site.client(), site.server()
    for size in range(handshake_size(Manners(context=context), tls)):
        manners = Manners(context=context, closes_after=size)
        with running(ADDRESS, manners) as node, pytest.raises(DistributionError):
            connect(node, tls)


def test_a_server_that_goes_away_in_the_handshake_of_tls_is_an_error(site: Site) -> None:
    """At bytes all over what it sends, from a recording."""
    said = _recorded(site)
    for size in {*range(0, len(said), 40), len(said) - 1}:
        with _saying(said[:size]) as port, pytest.raises(DistributionError):
            Connection(ADDRESS, NAME, "chat-2", "x", LONG, node_port=port, tls=site.client())


def test_the_deadline_holds_against_a_server_that_drips_tls(site: Site) -> None:
    """A byte now and then, each in time."""
    with _saying(_recorded(site), drips=STEP) as port, pytest.raises(NoAnswerError):
        Connection(ADDRESS, NAME, "chat-2", "x", SHORT, node_port=port, tls=site.client())


def test_the_deadline_holds_against_a_node_that_drips(site: Site) -> None:
    """The handshake in the TLS; and an answer."""
    manners = Manners(context=site.server(), drips=STEP)
    with running(ADDRESS, manners) as node, pytest.raises(NoAnswerError, match="within 1 s"):
        connect(node, site.client(), SHORT)
    slow = b"\0\0\0\0" * 1000
    manners = Manners(context=site.server(), answer=answer, after_handshake=slow, drips=0.01)
    with (
        running(ADDRESS, manners) as node,
        connect(node, site.client()) as connection,
        pytest.raises(NoAnswerError, match="no answer in time"),
    ):
        connection.call(*CALL, SHORT)


@pytest.mark.parametrize("flood", [b"\0\0\0\0", packet((1, Atom("a"), Atom("b"))) * 100])
def test_the_deadline_holds_against_a_flood(site: Site, flood: bytes) -> None:
    """Something comes all the time, and is not what was asked for."""
    with (
        running(ADDRESS, Manners(context=site.server(), floods_with=flood)) as node,
        connect(node, site.client()) as connection,
        pytest.raises(NoAnswerError, match="no answer in time"),
    ):
        connection.call(*CALL, SHORT)


def test_a_message_that_is_cut_by_the_deadline_is_received_later(site: Site) -> None:
    """No byte of it is lost: whoever waits again gets it whole."""
    event = packet((2, Atom(""), Atom("us")), [Atom("event")] * 20)
    waits = 0
    manners = Manners(context=site.server(), after_handshake=event, drips=0.01)
    with running(ADDRESS, manners) as node, connect(node, site.client()) as connection:
        while True:
            try:
                assert connection.receive(0.05) == ["event"] * 20
                break
            except NoAnswerError:
                waits += 1
    assert waits > 0


def _recorded(site: Site) -> bytes:
    """Return what a server of TLS says to a client, until it has said its certificate."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = site.server().wrap_bio(incoming, outgoing, server_side=True)
    theirs, ours = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(theirs, ours, server_hostname="x")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(ours.read())
    with contextlib.suppress(ssl.SSLWantReadError):
        server.do_handshake()
    return outgoing.read()


@contextlib.contextmanager
def _saying(said: bytes, drips: float = 0.0) -> Iterator[int]:
    """Take one connection, and say this to it; give the port."""
    ended = threading.Event()
    with socket.create_server((ADDRESS, 0)) as server:

        def talk() -> None:
            with server.accept()[0] as connection, contextlib.suppress(OSError):
                step = 1 if drips else max(1, len(said))
                for at in range(0, len(said), step):
                    connection.sendall(said[at : at + step])
                    if ended.wait(drips):
                        return

        thread = threading.Thread(target=talk)
        thread.start()
        yield server.getsockname()[1]
        ended.set()
        thread.join()
