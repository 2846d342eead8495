"""The options of the VM for TLS: what a client of ours takes of them, and what it names."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint.erlang.distribution import DistributionError
from member_entrypoint.erlang.tls import Options, Tls
from member_entrypoint.release.flags import Flags, flags, words

FILE = """\
%% Both sides are verified.
[{server, [{certfile, "server.pem"}, {verify, verify_none}, {unknown, 1}]},
 {client, [{certfile, "/etc/client.pem"}, {keyfile, <<"key.pem">>}, {cacertfile, "ca.pem"},
           {password, "a\\"b"}, {verify, verify_peer}, {secure_renegotiate, true},
           {versions, ['tlsv1.2', 'tlsv1.3']}, {ciphers, ["A", "B"]},
           {server_name_indication, disable}]}].
"""
OPTIONS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (
        FILE,
        {
            "certfile": "/etc/client.pem",
            "keyfile": "key.pem",
            "cacertfile": "ca.pem",
            "password": 'a"b',
            "verify": "verify_peer",
            "versions": ["tlsv1.2", "tlsv1.3"],
            "ciphers": "A:B",
            "server_name_indication": "disable",
        },
        (),
    ),
    ('[{server, [{certfile, "x"}]}].', {}, ()),
    ("[].", {}, ()),
    ("[{client, [{depth, 1}, {crl_check, true}]}].", {}, ("depth", "crl_check")),
    ("[{client, [{verify_fun, {fun mod:f/3, []}}]}].", {}, ("verify_fun",)),
    ("[{client, [{verify_fun, {fun inet_tls_dist:verify_client/3, []}}]}].", {}, ()),
    ("[{client, [{cacerts, public_key:cacerts_get()}]}].", {}, ("cacerts",)),
    ("[{client, [{ciphers, [#{mac => aead}]}]}].", {}, ("ciphers",)),
    ("[{client, [{verify, verify_none}, {verify, verify_peer}]}].", {"verify": "verify_none"}, ()),
]


def options(folder: Path, text: str) -> Options:
    """Return the options with these flags."""
    return Tls(Flags(flags(words(text))), str(folder)).options()


@pytest.mark.parametrize(("text", "values", "unheeded"), OPTIONS)
def test_the_options_of_a_file(
    tmp_path: Path, text: str, values: dict[str, Any], unheeded: tuple[str, ...]
) -> None:
    """Those of the client count; the first of a name, as OTP has it."""
    (tmp_path / "ssl.conf").write_text(text)
    assert options(tmp_path, "-ssl_dist_optfile ssl.conf") == Options(values, unheeded)
    whole = f"-ssl_dist_optfile {tmp_path}/ssl.conf -ssl_dist_opt client_certfile x"
    assert options(tmp_path / "elsewhere", whole) == Options(values, unheeded)


@pytest.mark.parametrize(
    ("text", "values", "unheeded"),
    [
        ("", {}, ()),
        ("-ssl_dist_opt server_certfile a client_certfile b", {"certfile": "b"}, ()),
        (
            "-ssl_dist_opt client_verify verify_peer -ssl_dist_opt client_cacertfile ca",
            {"verify": "verify_peer", "cacertfile": "ca"},
            (),
        ),
        ("-ssl_dist_opt client_depth 2 client_secure_renegotiate true", {}, ("depth",)),
    ],
)
def test_the_options_of_flags(
    tmp_path: Path, text: str, values: dict[str, Any], unheeded: tuple[str, ...]
) -> None:
    """Pairs of a name and a value; those of servers have another name."""
    assert options(tmp_path, text) == Options(values, unheeded)


@pytest.mark.parametrize("text", ["", "{client, []}.", "f().", "[{client, [{certfile, "])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    """So that it is seen why a VM asks instead."""
    (tmp_path / "ssl.conf").write_text(text)
    with pytest.raises(DistributionError, match=r"-ssl_dist_optfile .*ssl\.conf cannot"):
        options(tmp_path, "-ssl_dist_optfile ssl.conf")
    with pytest.raises(DistributionError, match="No such file"):
        options(tmp_path, "-ssl_dist_optfile other.conf")


@given(st.text(alphabet="[]{},.\"'%#<> \nclient()\\", max_size=60))
def test_any_text_is_options_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """Nothing else gets out."""
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.conf").write_text(text)
    with contextlib.suppress(DistributionError):
        options(folder, "-ssl_dist_optfile any.conf")
