"""What `tools/configure` is given, and what happens if it does not take that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from builder_tools import Repository, Workshop

# As MongooseIM's own: it ends with 0 whatever it gets, and takes all arguments or none.
CONFIGURE = """\
#!/bin/sh
for word in "$@"; do
    case $word in
    user=* {more}) ;;
    *) echo "configure: unknown option: $word" >&2; exit 0 ;;
    esac
done
echo "export ASKED='$*'" > configure.out
"""
MAKEFILE = """\
rel: configure.out
	@. ./configure.out && echo "asked for: $$ASKED" && mkdir -p _build/prod/rel/mongooseim/bin

## Don't allow these files to go out of sync!
configure.out rel/configure.vars.config:
	./tools/configure{own}
"""


def release(repository: Repository, *, own: str, more: str = "") -> None:
    """Commit a release that configures itself with `own`, and knows `user=` and `more`."""
    repository.write("Makefile", MAKEFILE.format(own=own))
    repository.write("tools/configure", CONFIGURE.format(more=more))
    repository.commit()


@pytest.mark.parametrize(
    ("own", "more", "expected"),
    [
        ("", "", "asked for: "),
        (" with-all", "| with-all", "asked for: with-all"),
        (
            " with-all without-jingle-sip",
            "| with-all | without-*",
            "asked for: with-all without-jingle-sip",
        ),
        (" $(filter-out $@,$(MAKECMDGOALS))", "| with-all", "asked for: with-all"),
    ],
)
def test_a_release_is_configured_as_it_configures_itself(
    workshop: Workshop, repository: Repository, own: str, more: str, expected: str
) -> None:
    """Those of 6.4 and newer, of 2.1, of 2.2 to 6.3, and of 1.6; none has an odd line."""
    release(repository, own=own, more=more)
    result = workshop.build("p", repository.url, "master")
    assert result.status == 0, result.output
    assert expected in result.lines
    assert "unknown option" not in result.output
    assert "did not take" not in result.output


@pytest.mark.parametrize("arguments", ["with-all user=x", "user=x with-all"])
def test_arguments_that_would_be_lost_end_the_build(
    workshop: Workshop, repository: Repository, arguments: str
) -> None:
    """Status 1, and the message names what is not known and that all else is lost."""
    release(repository, own="")
    result = workshop.build("p", repository.url, "master", CONFIGURE_ARGS=arguments)
    assert result.status == 1
    assert f"tools/configure did not take {arguments}: it does not know with-all" in result.said[-2]
    assert "it has not written configure.out" in result.said[-2]
    assert workshop.build("p", repository.url, "master", CONFIGURE_ARGS="user=x").status == 0


def test_arguments_that_are_lost_in_silence_end_the_build(
    workshop: Workshop, repository: Repository
) -> None:
    """A configure.out that is not there is enough, whatever tools/configure says."""
    release(repository, own="")
    repository.write("tools/configure", "#!/bin/sh\n: no configure.out\n")
    repository.commit()
    result = workshop.build("p", repository.url, "master", CONFIGURE_ARGS="user=x")
    assert result.status == 1
    assert "did not take user=x: it has not written configure.out" in result.said[-2]


def test_a_default_that_is_not_known_is_said(workshop: Workshop, repository: Repository) -> None:
    """Nobody asked for it, so the build goes on."""
    release(repository, own="; :")
    result = workshop.build("p", repository.url, "master")
    assert result.status == 0, result.output
    assert any("did not take with-all: it does not know with-all" in line for line in result.said)
