"""vm.args: one name and one cookie, the container's; all else as it was."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from member_entrypoint import settings
from member_entrypoint.errors import ConfigurationError
from member_entrypoint.release import vm_args as vm_args_module
from member_entrypoint.release.flags import flags, words
from member_entrypoint.release.vm_args import check_environment, vm_args

NODE = "mongooseim@m-1"
HELM = """\
## from the chart
-name mongooseim
-setcookie chartcookie

-kernel inet_dist_listen_min 9100
-kernel inet_dist_listen_max 9100
"""


def lines(text: str) -> list[str]:
    """Return the lines that count: neither empty nor comments."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize(
    ("text", "kept", "cookie"),
    [
        (
            HELM,
            ["-kernel inet_dist_listen_min 9100", "-kernel inet_dist_listen_max 9100"],
            "chartcookie",
        ),
        ("-sname a@b\n-sname c@d\n+K true", ["+K true"], "mongooseim"),
        ("-sname a@b\r\n-setcookie c\r\n+K true\r\n", ["+K true"], "c"),
        ("-sname\ta@b\t\n-setcookie\tc", [], "c"),
        ("  -sname a@b\n\t-setcookie c\n", [], "c"),
        ("-sname a@b -setcookie c +K true\n", ["+K true"], "c"),
        ('-setcookie "c"\n-setcookie d', [], "d"),
        ("-name a@b # my name\n", ["# my name"][:0], "mongooseim"),
        ("# -setcookie no\n", [], "mongooseim"),
        ("-sname {{node_name}}\n", [], "mongooseim"),
        ("-name\n", [], "mongooseim"),
        ("", [], "mongooseim"),
        (
            "-mnesia dir '\"/elsewhere\"'\n-mnesia debug verbose",
            ["-mnesia debug verbose"],
            "mongooseim",
        ),
        (
            "-mnesia dir x debug verbose dump_log_write_threshold 5",
            ["-mnesia debug verbose dump_log_write_threshold 5"],
            "mongooseim",
        ),
        ("+K true -sname 'a@b' +A 8", ["+K true +A 8"], "mongooseim"),
        ("-setcookie a#comment\n+K true", ["+K true"], "a"),
        ("-env NAME -sname-like\n-snamex y", ["-env NAME -sname-like", "-snamex y"], "mongooseim"),
    ],
)
def test_vm_args_have_one_name_and_one_cookie_and_keep_the_rest(
    text: str, kept: list[str], cookie: str
) -> None:
    """Of two cookies OTP takes neither, and the release's scripts grep for one line each."""
    rendered = vm_args(text, "sname", NODE, None)
    assert lines(rendered) == [*kept, f"-sname {NODE}", f"-setcookie {cookie}"]
    assert rendered.endswith("\n")


@pytest.mark.parametrize(
    ("text", "head", "tail"),
    [
        ("", "", ""),
        ("\n\n", "", ""),
        ("+K true\r\n-env A B\r", "+K true\n-env A B\n", ""),
        ("+K true\t \n\n", "+K true\t \n", ""),
        ("-env NAME X\n", "-env NAME X\n", ""),
        ("+K true -sname a@b \n+A 8", "+K true\n+A 8\n", ""),
        ("  +K true -sname a@b +A 8  \n", "  +K true +A 8  \n", ""),
        ("  -sname a@b +A 8  \n", "+A 8  \n", ""),
        ("+a\n\n-sname a@b\n\n+b", "+a\n\n\n+b\n", ""),
        ("-mnesia debug verbose dir x a b", "-mnesia debug verbose a b\n", ""),
        ("-mnesia a b dir", "-mnesia a b\n", ""),
        ("-mnesia dir\n", "", ""),
        ("+K true -extra -sname x \n\n", "+K true \n", "-extra -sname x\n"),
        ("+K true\0 -sname x", "+K true\n", ""),
    ],
)
def test_all_else_keeps_its_blanks_and_its_empty_lines(text: str, head: str, tail: str) -> None:
    """Up to -extra, before which our lines must stand; line ends become those of Unix."""
    ours = f"-sname {NODE}\n-setcookie MIX\n"
    assert vm_args(text, "sname", NODE, "MIX") == f"{head}{ours}{tail}"


def test_the_cookie_of_the_settings_wins() -> None:
    """The shell version documented it, and forgot to apply it."""
    assert "-setcookie mine" in lines(vm_args(HELM, "name", NODE, "mine"))
    assert "chartcookie" not in vm_args(HELM, "name", NODE, "mine")


def test_comments_are_kept() -> None:
    """Who reads the rendered file finds what the author of the source wrote."""
    assert "## from the chart" in vm_args(HELM, "name", NODE, None)


def test_a_cookie_that_the_scripts_cannot_use_is_an_error_that_does_not_show_it() -> None:
    """It would be cut at the blank by one reader and not by the other."""
    with pytest.raises(ConfigurationError, match=r"vm\.args has characters") as refusal:
        vm_args('-setcookie "two words"', "sname", NODE, None)
    assert "two words" not in str(refusal.value)


def test_a_quote_that_swallows_our_lines_is_an_error() -> None:
    """The VM would start without name and cookie."""
    with pytest.raises(ConfigurationError, match=r"vm\.args has a quote or a backslash"):
        vm_args("-env A 'never closed", "sname", NODE, None)


@given(st.text(min_size=1))
def test_whatever_the_settings_accept_stays_on_its_line(text: str) -> None:
    """No accepted value can break out of its line in vm.args."""
    for variable in ("NODE_NAME", "NODE_HOST", "CLUSTER_COOKIE", "HOSTNAME", "CLUSTER_WITH"):
        try:
            given_settings = settings.read({variable: text, "NODE_TYPE": "name"})
        except ConfigurationError:
            continue
        value = getattr(given_settings, variable.lower())
        rendered = vm_args("", "name", f"a@{value}", value)
        assert rendered.splitlines()[-2:] == [f"-name a@{value}", f"-setcookie {value}"]
        assert not re.search(r"[\s\"'#\\]", value or "")


@given(st.text(alphabet="-snamecookit\"'#\\ \t\n\r@x0", max_size=60))
def test_whatever_vm_args_says_ours_is_what_the_scripts_find(text: str) -> None:
    """The scripts' grep and the VM find our name and cookie only; rendering twice changes nothing.

    A quote that hides where flags end is refused.
    """
    try:
        rendered = vm_args(text, "sname", NODE, "ours")
    except ConfigurationError:
        assert {*"\"'\\"} & set(text)
        return
    found = [line for line in rendered.split("\n") if re.match(r"-(s?name|setcookie)(\s|$)", line)]
    assert found == [f"-sname {NODE}", "-setcookie ours"]
    given_flags = [flag for flag in flags(words(rendered)) if flag.name in vm_args_module.OURS]
    assert [(flag.name, *flag.texts) for flag in given_flags] == [
        ("-sname", NODE),
        ("-setcookie", "ours"),
    ]
    assert vm_args(rendered, "sname", NODE, "ours") == rendered


@pytest.mark.parametrize(
    ("value", "flag", "instead"),
    [
        ("-setcookie x", "-setcookie", "CLUSTER_COOKIE or CLUSTER_COOKIE_FILE"),
        ('+K true -kernel a b "-sname" x', "-sname", "NODE_NAME or NODE_HOST"),
        ("-name x@y.z", "-name", "NODE_TYPE=name, NODE_NAME or NODE_HOST"),
        ("-mnesia debug verbose dir '\"/x\"'", "-mnesia", "the volume /var/lib/mongooseim"),
    ],
)
@pytest.mark.parametrize("variable", ["ERL_AFLAGS", "ERL_FLAGS", "ERL_ZFLAGS"])
def test_what_is_the_containers_is_refused_in_the_environment(
    variable: str, value: str, flag: str, instead: str
) -> None:
    """Of two cookies OTP takes neither: members refused each other, and nobody said why."""
    with pytest.raises(ConfigurationError, match=rf"{variable} has the flag {flag}, .* {instead}"):
        check_environment({variable: value})


def test_all_that_is_wrong_in_the_environment_is_said_at_once() -> None:
    """A line for each flag; no `#` hides one, for there are no comments."""
    with pytest.raises(ConfigurationError) as refusal:
        check_environment({"ERL_FLAGS": "-x # -name a", "ERL_ZFLAGS": "-setcookie b"})
    begins = [line.split(",")[0] for line in str(refusal.value).splitlines()]
    assert begins == ["ERL_FLAGS has the flag -name", "ERL_ZFLAGS has the flag -setcookie"]


@pytest.mark.parametrize(
    "value", ["", "+K true", "-mnesia dump_log_write_threshold 5", "-extra -setcookie x", "-x dir"]
)
def test_other_flags_in_the_environment_count(value: str) -> None:
    """As OTP takes them."""
    check_environment({"ERL_FLAGS": value})
