"""What is not as it should be with a member, though it runs: told at its start, and by `check`."""

import contextlib
from collections.abc import Iterator, Mapping

from member_entrypoint.cluster.member import Member
from member_entrypoint.erlang.reach import flags_of
from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.release import sources
from member_entrypoint.release.vm_args import DEFAULT_COOKIE

MOST_NAMED = 5  # lines of resolv.conf in a warning


class Caution(NamedTuple):
    """A warning: what it is about, in a word, its text, and the values beside that in the log."""

    about: str
    text: str
    values: Mapping[str, str] = {}


def all_of(member: Member) -> Iterator[Caution]:
    """Yield what an operator should know of a member that runs, or is to run."""
    wanted = member.settings.mongooseim_config_format
    for warning in sources.unread(member.release, member.places, wanted):
        yield Caution("files", warning)
    if not member.is_alone and (unheeded := member.erlang.way.unheeded()):
        yield Caution("flags", unheeded)
    yield from _of_resolv_conf(member)
    flags = flags_of(member.release, member.settings)
    if not member.is_alone and flags.get("setcookie") == DEFAULT_COOKIE:
        yield Caution(
            "cookie",
            f"the Erlang cookie is the default one, {DEFAULT_COOKIE!r}: whoever reaches the ports "
            "of this node can run code in it",
            {
                "what_to_do": "set CLUSTER_COOKIE_FILE to a file made by openssl rand -hex 32, "
                "the same on all members"
            },
        )


def _of_resolv_conf(member: Member) -> Iterator[Caution]:
    """Yield, once, what the C library passes over in resolv.conf, and we with it."""
    from member_entrypoint.network import resolv_conf

    path = member.places.resolv_conf
    with contextlib.suppress(OSError):
        if passed_over := resolv_conf.read(path).passed_over:
            yield Caution(
                "dns",
                f"{path} has lines that no resolver can use",
                {
                    "passed_over": "; ".join(passed_over[:MOST_NAMED]),
                    "what_to_do": "correct it, or what Docker (--dns) or Kubernetes makes it from",
                },
            )
