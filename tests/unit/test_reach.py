"""How a node is reached, from all the places where that is said; and what is refused."""

from pathlib import Path

import pytest

from member_entrypoint import settings
from member_entrypoint.erlang.reach import (
    Reach,
    for_control_script,
    of_release,
    refuse_unreachable,
)
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.release.active import Release

NODE = "mongooseim@chat-1"


def release_with(root: Path, **files: str) -> Release:
    """Return a release with these configuration files; `vm_dist` is vm.dist.args, and so on."""
    release = Release(str(root), "1", "1")
    etc = Path(release.etc)
    etc.mkdir(parents=True, exist_ok=True)
    names = {"vm": "vm.args", "vm_dist": "vm.dist.args", "app": "app.config"}
    for key, name in names.items():
        (etc / name).write_text(files.get(key, "") + "\n")
    return release


def reach_of(root: Path, flags: str, app: str = "", **environment: str) -> Reach:
    """Return how a node with these flags in vm.dist.args is reached."""
    return of_release(release_with(root, vm_dist=flags, app=app), settings.read(environment))


DEFAULT = Reach()
FOUND = [
    ("", DEFAULT),
    ("-proto_dist inet6_tcp", Reach("inet6_tcp")),
    ("-kernel x y -proto_dist inet_tls", Reach("inet_tls")),
    ("-proto_dist inet6_tls -ssl_dist_optfile x", Reach("inet6_tls")),
    ("-proto_dist inet_tcp\n-proto_dist inet_tls", Reach("inet_tls")),
    ("# -proto_dist inet_tls", DEFAULT),
    ("-start_epmd false", Reach(starts_epmd=False)),
    ("-start_epmd false -erl_epmd_port 9100", Reach(node_port=9100, starts_epmd=False)),
    ("-erl_epmd_port 9100 -erl_epmd_port 9100", DEFAULT),
    ("-kernel erl_epmd_node_listen_port 9100", Reach(node_port=9100)),
    ("-erl_epmd_port 1 -kernel erl_epmd_node_listen_port 2", Reach(node_port=1)),
    ("-epmd_port 4370", Reach(epmd_port=4370)),
    ("-epmd_port 4370 -epmd_port 4371", Reach(epmd_port=4370)),
    ("-epmd_module my_epmd", Reach(epmd_module="my_epmd")),
    ("-kernel epmd_module my_epmd", Reach(epmd_module="my_epmd")),
    ("-epmd_module erl_epmd", DEFAULT),
    ("-kernel inet_dist_use_interface '{10,0,0,5}'", Reach(interface="10.0.0.5")),
    ("-kernel inet_dist_use_interface {0,0,0,0}", DEFAULT),
    (
        "-kernel inet_dist_use_interface '{16#fd00,0,0,0,0,0,0,5}'",
        Reach(interface="fd00:0:0:0:0:0:0:5"),
    ),
    ("-kernel a 1 inet_dist_use_interface {10,0,0,5} b 2", Reach(interface="10.0.0.5")),
    (
        "-kernel inet_dist_use_interface {10,0,0,5} inet_dist_use_interface {10,0,0,6}",
        Reach(interface="10.0.0.6"),
    ),
    (
        "-kernel inet_dist_use_interface {10,0,0,5} -kernel inet_dist_use_interface {10,0,0,6}",
        Reach(interface="10.0.0.5"),
    ),
    ("-kernel inet_dist_use_interface nonsense", DEFAULT),
    ("-dist_listen false", Reach(listens=False)),
]


@pytest.mark.parametrize(("flags", "expected"), FOUND)
def test_how_a_node_is_reached(tmp_path: Path, flags: str, expected: Reach) -> None:
    """As OTP reads the flags, where they are given more than once, too (seen with OTP 25)."""
    assert reach_of(tmp_path, flags) == expected


@pytest.mark.parametrize("name", ["ERL_AFLAGS", "ERL_FLAGS", "ERL_ZFLAGS"])
def test_the_environment_counts(tmp_path: Path, name: str) -> None:
    """Its flags are the VM's, as those of the files are; so is the port of epmd."""
    assert reach_of(tmp_path, "", **{name: "-proto_dist inet6_tls"}).carrier == "inet6_tls"
    assert reach_of(tmp_path, "-epmd_port 4371", ERL_EPMD_PORT="4370").epmd_port == 4370


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("[{kernel, [{inet_dist_use_interface, {10,0,0,5}}]}].", Reach(interface="10.0.0.5")),
        (
            '[{kernel, [{a, #{}}, {inet_dist_use_interface, "10.0.0.5"}]}].',
            Reach(interface="10.0.0.5"),
        ),
        ("[{other, [{inet_dist_use_interface, {10,0,0,5}}]}, {kernel, []}].", DEFAULT),
        ("[{kernel, [{erl_epmd_node_listen_port, 9100}]}, {x, []}].", Reach(node_port=9100)),
        ("%{erl_epmd_node_listen_port, 9100}\n[].", DEFAULT),
        ("[{kernel, [{erl_epmd_node_listen_port", DEFAULT),
    ],
)
def test_app_config_counts(tmp_path: Path, app: str, expected: Reach) -> None:
    """What is a parameter of the application `kernel` can stand there."""
    assert reach_of(tmp_path, "", app) == expected
    flags = "-kernel erl_epmd_node_listen_port 1 inet_dist_use_interface {10,0,0,9}"
    assert reach_of(tmp_path, flags, app) == Reach(node_port=1, interface="10.0.0.9")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (DEFAULT, ("tcp", "4369", "0", "-")),
        (Reach("inet6_tls", 4370), ("tls", "4370", "0", "-")),
        (Reach(node_port=9100, interface="10.0.0.5"), ("tcp", "0", "9100", "10.0.0.5")),
        (Reach(epmd_module="x"), ("other", "0", "0", "-")),
        (Reach("gen_tcp"), ("other", "4369", "0", "-")),
        (Reach(listens=False), ("tcp", "0", "0", "-")),
        (Reach(node_port=9100, listens=False), ("tcp", "0", "0", "-")),
    ],
)
def test_what_probes_are_told(how: Reach, words: tuple[str, ...]) -> None:
    """They ask nothing that cannot be asked."""
    assert how.for_probes == words


def test_only_addresses_of_the_family_are_used() -> None:
    """OTP connects to one kind of addresses, whatever else a host has."""
    addresses = ("10.0.0.1", "fd00::1")
    assert Reach().usable(addresses) == ("10.0.0.1",)
    assert Reach("inet6_tls").usable(addresses) == ("fd00::1",)
    assert Reach().own == ("127.0.0.1", "::1")
    assert Reach(interface="10.0.0.5").own == ("10.0.0.5",)


def test_the_control_script_does_not_want_the_port_of_the_node() -> None:
    """Its VM has the same flags, and would end with `eaddrinuse`."""
    chosen = settings.read({"ERL_AFLAGS": "+K true"})
    assert for_control_script(Reach(), chosen) == {}
    flags = {"ERL_AFLAGS": "-dist_listen false +K true"}
    assert for_control_script(Reach(node_port=9100), chosen) == flags


IPV6_NODE = "mongooseim@fd00::1"
REFUSED = [
    ({"vm_dist": "-dist_listen false"}, {}, NODE, "-dist_listen false"),
    (
        {"vm_dist": "-kernel inet_dist_use_interface {127,0,0,1}"},
        {},
        NODE,
        "inet_dist_use_interface is 127.0.0.1",
    ),
    ({}, {"ERL_EPMD_ADDRESS": "127.0.0.1,::1"}, NODE, "ERL_EPMD_ADDRESS"),
    (
        {"vm_dist": "-proto_dist inet_tls", "vm": "-proto_dist inet_tls"},
        {},
        NODE,
        "-proto_dist is given 2 times",
    ),
    ({"vm_dist": "-erl_epmd_port x"}, {}, NODE, "port 'x' of -erl_epmd_port"),
    ({"vm_dist": "-erl_epmd_port 65536"}, {}, NODE, "port '65536' of -erl_epmd_port"),
    ({"vm": "-proto_dist inet_tls"}, {}, NODE, "-proto_dist is not in vm.dist.args"),
    ({"vm": "-erl_epmd_port 9100"}, {}, NODE, "-erl_epmd_port is not in vm.dist.args"),
    (
        {"app": "[{kernel, [{epmd_module, x}]}]."},
        {},
        NODE,
        "-epmd_module is not in vm.dist.args",
    ),
    ({}, {}, IPV6_NODE, "write -proto_dist inet6_tcp into"),
    ({"vm_dist": "-proto_dist inet_tls"}, {}, IPV6_NODE, "write -proto_dist inet6_tls into"),
    ({"vm_dist": "-proto_dist inet6_tcp"}, {}, "mongooseim@10.0.0.1", "-proto_dist inet_tcp into"),
]


@pytest.mark.parametrize(("files", "environment", "node", "said"), REFUSED)
def test_what_nobody_could_join_is_refused(
    tmp_path: Path, files: dict[str, str], environment: dict[str, str], node: str, said: str
) -> None:
    """At the start, with the flag's name: never a member that is ready and cannot be joined."""
    release = release_with(tmp_path, **files)
    with pytest.raises(ConfigurationError) as error:
        refuse_unreachable(release, settings.read(environment), node)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "environment", "node"),
    [
        ("", {}, NODE),
        ("-proto_dist inet6_tcp", {}, IPV6_NODE),
        ("-proto_dist inet_tls", {"ERL_EPMD_ADDRESS": "10.0.0.5"}, "mongooseim@10.0.0.5"),
        ("-start_epmd false -erl_epmd_port 9100", {"ERL_EPMD_ADDRESS": "127.0.0.1"}, NODE),
        ("-epmd_module x", {}, NODE),
        ("-kernel inet_dist_use_interface {10,0,0,5}", {}, NODE),
        ("", {"ERL_FLAGS": "-proto_dist inet_tls"}, NODE),
    ],
)
def test_what_can_be_joined_is_not(
    tmp_path: Path, flags: str, environment: dict[str, str], node: str
) -> None:
    """Nothing is said of it."""
    release = release_with(tmp_path, vm_dist=flags)
    refuse_unreachable(release, settings.read(environment), node)
