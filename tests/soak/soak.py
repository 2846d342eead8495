"""Five members on real Erlang under faults by chance, for as long as you like.

MINUTES=20 SEED=7 python3 tests/soak/soak.py      as `make soak` does; needs root and Erlang

Prints a line for each step, and ends with status 1 when something does not hold: then it prints
all steps so far, what each member said last, and where the logs are. The same seed gives the same
steps; when they come depends on the machine. KINDS=cut,deaf has these kinds of steps only.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hosts import build_sample
from soak_faults import SoakError
from soak_members import five
from soak_plan import KINDS, plan
from soak_run import Run
from soak_volume import VolumeError

if TYPE_CHECKING:
    from types import FrameType

POLICIES = ("ignore", "restart-minority")


def say(text: str) -> None:
    """Print a line with the time."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stdout.flush()


def variables_of(seed: int) -> dict[str, str]:
    """Return what differs between runs in the members' environment."""
    dice = random.Random(seed)  # noqa: S311 - the same dice from the same seed
    return {"PARTITION_POLICY": dice.choice(POLICIES)}


def tell_failure(run: Run, error: Exception, seed: int, folder: Path) -> None:
    """Print all that helps to understand a failure, and keep the volumes beside the logs."""
    lines = [f"FAILED: {error}", f"SEED={seed}; the steps:"]
    lines += [f"  {number}. {words}" for number, words in enumerate(run.steps, 1)]
    for member in run.five.members.values():
        member.keep_data()
        state = "runs" if member.up else "has ended"
        lines += [f"{member.node} {state} ({member.why_not_ready() or 'ready'}):"]
        lines += [member.last_lines()]
    sys.stdout.write("\n".join([*lines, f"all logs are kept in {folder / 'logs'}", ""]))
    sys.stdout.flush()


def soak(seed: int, minutes: float, folder: Path, kinds: tuple[str, ...]) -> bool:
    """Run; return whether all held."""
    say("building the sample server")
    release = build_sample(folder)
    variables = variables_of(seed)
    say(f"SEED={seed}, {minutes:g} minutes, {variables}")
    with five(folder, release, variables) as cluster:
        run = Run(cluster, seed, say)
        try:
            with run.writer:
                run.form()
                report = run.go(plan(seed, kinds), time.monotonic() + 60 * minutes)
        except (SoakError, AssertionError, OSError) as error:
            tell_failure(run, error, seed, folder)
            return False
    say(
        f"nothing is wrong: {report.steps} steps from seed {seed}, {report.acknowledged} values "
        f"acknowledged; calm within {report.longest:.0f} s at the most; the operator was needed "
        f"in {report.helped} steps"
    )
    return True


def interrupted(_number: int, _frame: FrameType | None) -> None:
    """Let a signal end the run as Ctrl-C does, so that all is cleaned up."""
    raise KeyboardInterrupt


def main() -> int:
    """Soak for MINUTES with SEED; return 1 if something did not hold."""
    minutes = float(os.environ.get("MINUTES") or 5)
    seed = int(os.environ.get("SEED") or time.time())
    kinds = tuple((os.environ.get("KINDS") or ",".join(KINDS)).split(","))
    signal.signal(signal.SIGTERM, interrupted)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    held = True
    try:
        held = soak(seed, minutes, folder, kinds)
    except KeyboardInterrupt:
        say(f"interrupted; SEED={seed}")
        return 130
    except VolumeError as error:
        say(str(error))
        return 1
    finally:
        if held:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
