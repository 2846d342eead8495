"""The texts of `--help` and `--dry-run`."""

import shlex

from builder_entrypoint.names import printable
from builder_entrypoint.settings import CONFIGURE_DEFAULT, DEFAULTS, Settings

HELP = f"""\
usage: /build.sh [OPTION...] [PROJECT [REPO [COMMIT]]]
       /build.sh --list
       /build.sh --stop [PROJECT]

Builds a MongooseIM release from REPO at COMMIT, and packs it as
$BUILDS/mongooseim-PROJECT-COMMIT-TIMESTAMP.tar.gz

  PROJECT     friendly name of the build (default: {DEFAULTS[0]})
  REPO        what git can clone: an address or a folder (default: {DEFAULTS[1]})
  COMMIT      branch, tag, full or short hash, or refs/pull/N/head (default: {DEFAULTS[2]}, or
              the default branch of a REPO that has none)

  --no-cache       use no cache, and save nothing for the next build
  --no-submodules  leave the folders of git submodules empty
  --dry-run        print what would be done, and do nothing
  --list           print which builds are running in this container
  --stop           stop all builds in this container, or those of PROJECT
  --version        print the version of the builder
  --help           print this help

variables:
  BUILDS             where tarballs go (default: /builds)
  LOGFILE            all output is appended to this file (default: $BUILDS/build.log)
  TARBALL_NAME       file name without .tar.gz; the default contains the time
  ARCH               if set, -ARCH is added before .tar.gz
  CONFIGURE_ARGS     arguments of tools/configure (default: those that the release's own
                     Makefile gives it, or with-all)
  SOURCE_DATE_EPOCH  time of all entries of the tarball (default: the time of COMMIT)

exit status:
  0   built
  1   clone, checkout or compilation failed, or a signal stopped the build
  2   the tarball could not be written
  78  wrong arguments or variables; nothing was built
"""


def plan(settings: Settings) -> str:
    """Return the lines that say what a build with these settings would do."""
    given = settings.configure_arguments
    configure = shlex.join(["tools/configure", *(CONFIGURE_DEFAULT if given is None else given)])
    cache = f"cached in {settings.cache}" if settings.use_cache else "not cached"
    epoch = settings.source_date_epoch
    stem = settings.stem("TIMESTAMP")
    lines = [
        f"would fetch {settings.repository}",
        f"would check out {settings.commit}",
        f"would run {configure}",
        *(["or run it as the Makefile of this release does"] if given is None else []),
        "would run make rel",
        f"would pack _build/prod/rel/mongooseim as {settings.builds / stem}.tar.gz",
        f"would write {settings.builds / stem}.tar.gz.sha256",
        f"would write {settings.builds / stem}.json",
        f"would write {settings.builds / stem}.provenance.json",
        f"would write {settings.builds / stem}.cdx.json",
        f"time of all entries: {'the time of the commit' if epoch is None else epoch}",
        f"repository and packages: {cache}",
        f"log: {settings.log_file}",
    ]
    return "".join(f"{printable(line)}\n" for line in lines)
