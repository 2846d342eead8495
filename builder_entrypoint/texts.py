"""What `--help` and `--dry-run` say."""

import shlex

from builder_entrypoint.names import printable
from builder_entrypoint.settings import DEFAULTS, Settings

HELP = f"""\
usage: /build.sh [OPTION...] [PROJECT [REPO [COMMIT]]]

Builds a MongooseIM release from REPO at COMMIT, and packs it as
$BUILDS/mongooseim-PROJECT-COMMIT-TIMESTAMP.tar.gz

  PROJECT     friendly name of the build (default: {DEFAULTS[0]})
  REPO        what git can clone: an address or a folder (default: {DEFAULTS[1]})
  COMMIT      branch, tag, full or short hash, or refs/pull/N/head (default: {DEFAULTS[2]})

  --no-cache  build from nothing, and keep nothing for the next build
  --dry-run   say what would be done, and do nothing
  --version   print the version of the builder
  --help      print this

variables:
  BUILDS             where tarballs go (default: /builds)
  LOGFILE            everything that is printed is added there (default: $BUILDS/build.log)
  TARBALL_NAME       file name without .tar.gz, instead of one with the time in it
  ARCH               if set, -ARCH is added before .tar.gz
  CONFIGURE_ARGS     arguments of tools/configure (default: with-all)
  SOURCE_DATE_EPOCH  time of all entries of the tarball (default: when COMMIT was committed)

exit status:
  0   built
  1   clone, checkout or compilation failed, or a signal stopped the build
  2   the tarball could not be written
  78  wrong arguments or variables; nothing was done
"""


def plan(settings: Settings) -> str:
    """Say, line by line, what a build with these settings does."""
    configure = shlex.join(["tools/configure", *settings.configure_arguments])
    if settings.use_cache:
        cache = f"kept in {settings.cache} for the next build"
    else:
        cache = "not kept, and nothing kept earlier is used"
    times = settings.source_date_epoch
    stem = settings.stem("TIMESTAMP")
    lines = [
        f"would fetch {settings.repository}",
        f"would check out {settings.commit}",
        f"would run {configure}",
        "would run make rel",
        f"would pack _build/prod/rel/mongooseim as {settings.builds / stem}.tar.gz",
        f"would write {settings.builds / stem}.tar.gz.sha256",
        f"would write {settings.builds / stem}.json",
        f"time of all entries: {'that of the commit' if times is None else times}",
        f"repository and packages: {cache}",
        f"log: {settings.log_file}",
    ]
    return "".join(f"{printable(line)}\n" for line in lines)
