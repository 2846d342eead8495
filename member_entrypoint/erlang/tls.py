"""The distribution over TLS, spoken with Python's ssl by the options that the VM has.

Source: "Using TLS for Erlang Distribution" in the manual of OTP's application ssl, and its modules
inet_tls_dist and ssl_dist_sup. What a VM takes as a client, when it connects to another node,
counts here. Imported only where TLS is used: ssl takes 1 MB.
"""

import os
import socket
import ssl

from member_entrypoint import terms
from member_entrypoint.erlang.distribution import (
    CertificateError,
    DistributionError,
    NotTlsError,
)
from member_entrypoint.lean_typing import Any, NamedTuple
from member_entrypoint.release.flags import Flags
from member_entrypoint.terms import Atom, TermError

VERSIONS = {
    "tlsv1": ssl.TLSVersion.TLSv1,
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
FILES = ("certfile", "keyfile", "cacertfile")
HEEDED = {*FILES, "password", "verify", "versions", "ciphers", "server_name_indication"}
NO_MATTER = {
    *("secure_renegotiate", "reuse_sessions", "reuse_session", "session_tickets", "use_ticket"),
    *("hibernate_after", "log_level", "log_alert", "nodelay", "ktls", "keep_secrets"),
    *("max_handshake_size", "key_update_at", "renegotiate_at", "sndbuf", "recbuf", "buffer"),
    *("sender_spawn_opts", "receiver_spawn_opts", "erl_dist", "handshake", "early_data"),
    # Of servers only.
    *("dhfile", "dh", "fail_if_no_peer_cert", "honor_cipher_order", "honor_ecc_order"),
    *("client_renegotiation", "cookie"),
}
"""Options that change nothing of who is accepted."""
NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


class Options(NamedTuple):
    """The options of a client, by name, and those that cannot be heeded here."""

    values: dict[str, Any]
    unheeded: tuple[str, ...]


class Tls:
    """Makes connections secure as the VM with these flags would."""

    def __init__(self, given: Flags, folder: str) -> None:
        """Take the VM's flags; paths in them are relative to `folder`, where the VM runs."""
        self._given = given
        self._folder = folder

    def wrap(self, plain: socket.socket, node: str, timeout: float | None) -> ssl.SSLSocket:
        """Return the connection, secured, within `timeout` seconds; raises OSError.

        The certificate is checked as the VM does it: for the host of `node`, if at all. The options
        are read again each time, since certificates are replaced on the disk. Raises
        `DistributionError` for options that cannot be used.
        """
        options = self.options()
        try:
            context = _context(options.values, self._folder)
        except (OSError, ValueError, TypeError) as error:
            # ssl.SSLError is an OSError, of our files here, not of the connection.
            raise DistributionError(f"the TLS options of the VM cannot be used: {error}") from None
        host = node.partition("@")[2] if context.check_hostname else None
        secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        try:
            secured.settimeout(timeout)
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured

    def options(self) -> Options:
        """Return the options of a client; raises `DistributionError` if they cannot be read."""
        optfile = self._given.get("ssl_dist_optfile")
        if not optfile:
            return _of_flags(self._given)
        path = os.path.join(self._folder, optfile)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return _of_file(file.read())
        except (OSError, TermError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DistributionError(f"-ssl_dist_optfile {path} cannot be read: {reason}") from None

    def explained(self, error: OSError, node: str) -> DistributionError | None:
        """Return what an error says of TLS, None if nothing."""
        if isinstance(error, ssl.SSLCertVerificationError):
            text = f"the certificate of {node} is not accepted: {error.verify_message}"
            # What was not heeded might have accepted it: a VM can tell.
            return DistributionError(text) if self.options().unheeded else CertificateError(text)
        if not isinstance(error, ssl.SSLError):
            return None
        reason = error.reason or ""
        if reason in NOT_TLS:
            return NotTlsError(f"{node} does not speak TLS, and -proto_dist of this one does")
        if "_ALERT_" in reason:
            words = reason.partition("_ALERT_")[2].replace("_", " ").lower()
            return CertificateError(f"{node} refuses our certificate, or our TLS: {words}")
        return DistributionError(f"{node}: TLS: {reason.replace('_', ' ').lower() or error}")


def _context(values: dict[str, Any], folder: str) -> ssl.SSLContext:
    """Return what Python makes of the options; raises OSError or ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authorities = values.get("cacertfile")
    # Without the option, OTP 25 does not verify, and 26 does. We do, where that is possible.
    verify = values.get("verify", "verify_peer" if authorities else "verify_none")
    named = values.get("server_name_indication") != "disable"
    context.check_hostname = verify == "verify_peer" and named
    context.verify_mode = ssl.CERT_REQUIRED if verify == "verify_peer" else ssl.CERT_NONE
    if versions := [VERSIONS[name] for name in values.get("versions", []) if name in VERSIONS]:
        context.minimum_version, context.maximum_version = min(versions), max(versions)
    # Those of TLS 1.3 cannot be chosen with Python.
    older = [name for name in values.get("ciphers", "").split(":") if name[:4] not in {"", "TLS_"}]
    if older:
        context.set_ciphers(":".join(older))
    if authorities:
        context.load_verify_locations(os.path.join(folder, authorities))
    if certificate := values.get("certfile"):
        key = values.get("keyfile", certificate)
        context.load_cert_chain(
            os.path.join(folder, certificate),
            os.path.join(folder, key),
            # Never None: OpenSSL would ask the terminal.
            values.get("password", ""),
        )
    return context


def _of_flags(given: Flags) -> Options:
    """Return the options of -ssl_dist_opt: pairs of `client_NAME` and a value."""
    values: dict[str, Any] = {}
    unheeded = []
    words = [word for flag in given.all("ssl_dist_opt") for word in flag]
    for name, value in zip(words[::2], words[1::2], strict=False):
        option = name.removeprefix("client_")
        if option == name:
            continue
        if option in HEEDED and option != "versions":
            values.setdefault(option, value)
        elif option not in NO_MATTER:
            unheeded.append(option)
    return Options(values, tuple(unheeded))


def _of_file(text: str) -> Options:
    """Return the options of the list `[{server, [...]}, {client, [...]}].`; raises `TermError`.

    The file is an expression for Erlang: an option that is more than a term is one of the unheeded.
    """
    stream = list(terms.tokens(text))
    if [token.text for token in stream[:1]] != ["["]:
        raise TermError("it is not a list of {server, Options} and {client, Options}")
    values: dict[str, Any] = {}
    unheeded: list[str] = []
    inside = False
    for at, token in enumerate(stream):
        if token.text != "{" or token.depth not in {1, 3}:
            continue
        if token.depth == 1:
            inside = [each.text for each in stream[at + 1 : at + 4]] == ["client", ",", "["]
        elif inside:
            end = next((t for t in stream[at + 1 :] if t.depth == token.depth), None)
            if end is None:
                raise TermError("a bracket in it is not closed")
            _take(text[token.start : end.end], stream[at + 1].text, values, unheeded)
    return Options(values, tuple(unheeded))


def _take(source: str, name: str, values: dict[str, Any], unheeded: list[str]) -> None:
    """Take one option, `{name, Value}`."""
    if name in NO_MATTER or name in values:
        return
    if name == "verify_fun" and "inet_tls_dist:verify_client/3" in source.replace(" ", ""):
        return  # of servers only
    try:
        _, value = terms.read(source)
        values[name] = _plain(name, value)
    except (TermError, ValueError):
        unheeded.append(name)


def _plain(name: str, value: Any) -> Any:
    """Return the value of an option in Python's types; raises ValueError for what is not heeded."""
    if name not in HEEDED:
        raise ValueError(name)
    if isinstance(value, Atom) and name in {"verify", "server_name_indication"}:
        return str(value)
    if name == "versions" and isinstance(value, list):
        return [str(version) for version in value]
    if name == "ciphers" and isinstance(value, list) and value and isinstance(value[0], list):
        return ":".join(_text(cipher) for cipher in value)
    if name in {*FILES, "password", "ciphers"}:
        return _text(value)
    raise ValueError(name)


def _text(value: Any) -> str:
    """Return a string of Erlang, or a binary, as text; raises ValueError."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return "".join(map(chr, value))
    raise ValueError("not a string")
