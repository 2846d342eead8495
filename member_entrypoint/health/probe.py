"""Alive? Ready? What a probe is told, from the notes of PID 1 and from what the kernel knows.

`member-entrypoint health live` and `health ready` run every few seconds, each a process of its own
that ends at once. So this imports next to nothing: `signal`, `socket` and `typing` would each take
half as long as the interpreter takes to start, hence the modules in C below the first two, and no
`typing.TYPE_CHECKING`.

Live means: a restart of the container would fix nothing. A member that waits, boots, joins or
stops is live; PID 1 sees to the deadlines of all that. Ready means: clients may come.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import os
import struct

from member_entrypoint import environment, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

QUESTIONS = ("live", "ready")
WRONG_ARGUMENTS = 78
NO_SERVER = "no MongooseIM server runs in this container"
LOOPBACK = ((_socket.AF_INET, "127.0.0.1"), (_socket.AF_INET6, "::1"))
EPMD_TIMEOUT = 3.0
NODE_TIMEOUT = 5.0
PORT_PLEASE2_REQ, PORT2_RESP = b"z", b"w"
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLMSG_DONE = 4, 20, 3
NLM_F_REQUEST_DUMP = 0x301
TCP_LISTEN = 10


def main(question: list[str]) -> int:
    """Answer the question of a probe, `live` or `ready`; return 0 for yes, 1 for no."""
    # In the images the interpreter starts with all signals blocked, as PID 1 needs them; this is
    # not PID 1.
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    if len(question) != 1 or question[0] not in QUESTIONS:
        _say(2, f"health is asked {' '.join(question)!r}; allowed: health live, health ready")
        return WRONG_ARGUMENTS
    _, *answers = examine(environment.own_root())
    why_not = answers[QUESTIONS.index(question[0])]
    _say(1, why_not or question[0])
    return 1 if why_not else 0


def examine(root: str, ask: "Callable[..., str] | None" = None) -> tuple[str, str, str]:
    """Return the state of the member, why it is not live and why it is not ready.

    A reason is empty where there is none. `ask` says what is wrong with the node itself; it is
    `whats_wrong_with_node` if not given.
    """
    now = state.read(os.path.join(root, state.STATE_FILE)) or state.WAITING
    notes = state.processes(root)
    wrong = why_not_live(now, _letter(notes.get("init")), _letter(notes.get("vm")))
    if wrong or now != state.SERVING:
        return now, wrong, wrong or why_not_ready(now, waits=_waits(root, now))
    if "node" not in notes or "port" not in notes:
        return now, "", f"{os.path.join(root, state.PROCESSES_FILE)} cannot be understood"
    wrong = (ask or whats_wrong_with_node)(*notes["node"])
    port = notes["port"][0]
    excluded = (state.reason(root, path) for path in state.REASONS)
    missing = "" if listens(int(port)) else f"nothing listens on port {port} (HEALTH_PORT)"
    return now, wrong, wrong or why_not_ready(now, *excluded, missing)


def why_not_live(now: str, init: str, vm: str) -> str:
    """Return why a member is not live, empty if it is, by its state and those of its processes.

    These are letters as in /proc/PID/stat, empty for a process that is gone. Before the VM is
    started, and while it is stopped, it may be there or not.
    """
    if init in {"", "Z", "X"}:
        return NO_SERVER
    if init in {"T", "t"}:
        return "PID 1 is stopped, as by SIGSTOP"
    if now not in {state.STARTING, state.SERVING}:
        return ""
    if vm in {"", "Z", "X"}:
        return "the Erlang VM has ended"
    return "the Erlang VM is stopped, as by SIGSTOP" if vm in {"T", "t"} else ""


def _waits(root: str, now: str) -> str:
    """Return for what a member that has not started yet waits, and why; empty if for nothing."""
    if now not in {state.WAITING, state.STARTING}:
        return ""
    text, reason, _ = state.wait(root)
    if reason:
        return f"{text} ({reason})"
    return text if now == state.WAITING else ""


def why_not_ready(now: str, *reasons: str, waits: str = "") -> str:
    """Return why a member that is live is not ready, empty if it is.

    `reasons` are what speaks against one that serves, empty where nothing does. `waits` says for
    what one waits that starts.
    """
    if now == state.SERVING:
        return next(filter(None, reasons), "")
    why = {
        state.WAITING: "MongooseIM is not started yet",
        state.STARTING: "MongooseIM starts, or joins its cluster",
        state.STOPPING: "MongooseIM stops",
    }.get(now, f"MongooseIM is in the unknown state {now!r}")
    return f"{why}: {waits}" if waits else why


def _letter(noted: list[str] | None) -> str:
    """Return the letter of the state of a process that was noted; empty if it is gone."""
    pid, when = noted or ("0", "")
    fields = state.process(pid)
    # The state is the first of them, the time of birth the twentieth.
    return fields[0] if fields and fields[19] == when else ""


def whats_wrong_with_node(
    node: str, spoken: str, epmd_port: str, node_port: str = "0", interface: str = "-"
) -> str:
    """Return what is wrong with a node that serves, in words; empty if nothing is known to be.

    The epmd of this host must know it, and it must not hang. The words are those of
    `Reach.for_probes`: with an `epmd_port` of 0 there is no epmd to ask.
    """
    port = int(node_port)
    if epmd_port != "0":
        try:
            port = _node_port(node, int(epmd_port))
        except TimeoutError:
            return f"the epmd of this host does not answer within {EPMD_TIMEOUT:g} s"
        except OSError as error:
            return f"no epmd on this host ({error.strerror or error})"
        if not port:
            return f"the epmd of this host does not know {node}"
    if port and spoken != "other" and _hangs(port, interface):
        return f"the Erlang VM hangs: it closed no connection within {NODE_TIMEOUT:g} s"
    return ""


def _node_port(node: str, epmd_port: int) -> int:
    """Return the port that the epmd of this host has for a node, 0 if none; raises OSError."""
    name = node.partition("@")[0].encode()
    request = struct.pack("!Hc", len(name) + 1, PORT_PLEASE2_REQ) + name
    answer = _exchange(LOOPBACK, epmd_port, request, EPMD_TIMEOUT)
    if answer[:2] != PORT2_RESP + b"\0" or len(answer) < 4:  # noqa: PLR2004 - the port comes next
        return 0
    return int.from_bytes(answer[2:4])


def _hangs(port: int, interface: str) -> bool:
    """Tell whether a node hangs: it does not close a connection that we have closed on our side.

    That takes its schedulers and `net_kernel`, or what accepts TLS, all at the priority `max`, so
    that the busiest node does it at once (0.3 ms, with TLS 1 ms); it logs nothing and gets to know
    no name. `interface` is the one address at which it takes connections, `-` for all.
    """
    family = _socket.AF_INET6 if ":" in interface else _socket.AF_INET
    addresses = LOOPBACK if interface == "-" else ((family, interface),)
    try:
        _exchange(addresses, port, b"", NODE_TIMEOUT)
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


def _exchange(
    addresses: "tuple[tuple[int, str], ...]", port: int, request: bytes, timeout: float
) -> bytes:
    """Send `request` to a port of this host, or close our side if it is empty; return the answer.

    The addresses are tried in their order. Raises TimeoutError if it takes longer than `timeout`
    seconds, OSError if nobody is there.
    """
    refused = OSError()
    for family, address in addresses:
        try:
            connection = _socket.socket(family, _socket.SOCK_STREAM)
        except OSError as error:
            refused = error
            continue
        try:
            connection.settimeout(timeout)
            try:
                connection.connect((address, port))
            except TimeoutError:
                raise
            except OSError as error:
                refused = error
                continue
            if request:
                connection.sendall(request)
            else:
                connection.shutdown(_socket.SHUT_WR)
            return connection.recv(1024)
        finally:
            connection.close()
    raise refused


def listens(port: int) -> bool:
    """Tell whether a socket of this network namespace listens on TCP `port`, at any address.

    Nobody is connected to: that would be a client for the server, and show up in its log. The
    kernel is asked for just these sockets; where it cannot be, its table of all is read.
    """
    try:
        return any(_listens(family, port) for family, _ in LOOPBACK)
    except OSError:
        tables = ("/proc/self/net/tcp", "/proc/self/net/tcp6")
        return any(map(_in_table, tables, (port, port)))


def _listens(family: int, port: int) -> bool:
    """Ask the kernel: netlink(7), sock_diag(7). Raises OSError where it does not answer that."""
    wanted = struct.pack("=BBxxI", family, _socket.IPPROTO_TCP, 1 << TCP_LISTEN)
    wanted += struct.pack("!H46x", port)
    header = (16 + len(wanted), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 0, 0)
    connection = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    try:
        connection.settimeout(EPMD_TIMEOUT)
        connection.send(struct.pack("=IHHII", *header) + wanted)
        (kind,) = struct.unpack("=H", connection.recv(8192)[4:6])
    finally:
        connection.close()
    if kind not in {SOCK_DIAG_BY_FAMILY, NLMSG_DONE}:
        raise OSError
    return bool(kind == SOCK_DIAG_BY_FAMILY)


def _in_table(path: str, port: int) -> bool:
    """Look for the port in a table of sockets: proc(5). Those that listen come first in it."""
    try:
        with open(path, "rb") as table:
            next(table)
            for line in table:
                _, local, _, kind, *_ = line.split()
                if int(kind, 16) != TCP_LISTEN:
                    return False
                if int(local.rpartition(b":")[2], 16) == port:
                    return True
    except (OSError, StopIteration):
        return False
    return False


def _say(descriptor: int, text: str) -> None:
    try:
        os.write(descriptor, f"{text}\n".encode())
    except OSError:
        return
