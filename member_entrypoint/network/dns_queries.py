"""Queries to the name servers of resolv.conf that share one deadline.

dnspython is imported when the first query is made: a starting VM wants the CPU that this takes.
"""

import io
import time
from collections.abc import Callable

from member_entrypoint.lean_typing import NamedTuple
from member_entrypoint.network import resolv_conf

SHORTEST_QUERY = 0.1  # seconds that a query gets even when the deadline has passed
TRIES = 2  # how often each name server is asked before the deadline: a packet may get lost


def prepare() -> None:
    """Load what the first query needs, while there is nothing to do but to wait."""
    import dns.resolver  # noqa: F401


class Records(NamedTuple):
    """The records that a query found, or none and the reason why.

    Records are addresses, or names without the last dot. `canonical` is the name that they belong
    to, after all aliases. `absent` says that a name server knows of no such records: the query did
    not fail.
    """

    records: tuple[str, ...]
    canonical: str
    reason: str
    absent: bool


class Queries:
    """Queries that take at most `timeout` seconds together."""

    def __init__(
        self, resolv_conf: str, timeout: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin to count the time; `resolv_conf` is the file that names the name servers."""
        self._resolv_conf = resolv_conf
        self._timeout = timeout
        self._now = now
        self._deadline = now() + timeout

    def ask(self, name: str, kind: str) -> Records:
        """Return the records of one kind (`A`, `SRV`, ...) that `name` has; raises nothing.

        The search list and `ndots` of resolv.conf(5) count.
        """
        import dns.exception
        import dns.resolver

        left = max(SHORTEST_QUERY, self._deadline - self._now())
        try:
            resolver = dns.resolver.Resolver(io.StringIO(resolv_conf.read(self._resolv_conf).text))
            each = left / (TRIES * max(1, len(resolver.nameservers)))
            resolver.timeout = min(resolver.timeout, each)
            answer = resolver.resolve(
                name, kind, lifetime=left, search=True, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN:
            return Records((), "", "the name does not exist in DNS", absent=True)
        except dns.resolver.LifetimeTimeout:
            return Records((), "", f"no DNS answer within {self._timeout:g} s", absent=False)
        except dns.exception.DNSException as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            return Records((), "", reason, absent=False)
        except OSError as error:
            return Records((), "", error.strerror or str(error), absent=False)
        records = tuple(
            str(getattr(record, "address", None) or record.target).rstrip(".")
            for record in answer.rrset or ()
        )
        return Records(records, str(answer.canonical_name).rstrip("."), "", absent=True)

    def ask_for_name(self, address: str) -> Records:
        """Return the names that DNS has for an IP address; raises nothing."""
        import dns.reversename

        return self.ask(str(dns.reversename.from_address(address)), "PTR")
