"""Counts what a cluster asks while it is formed, by its size: names, epmds, nodes.

The members ask for real; who answers is no network, so that clusters of a hundred fit.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from counted_network import form

from bench import figures
from bench.measurement import Measurement

if TYPE_CHECKING:
    from bench.shop import Shop

SIZES = (2, 5, 10, 20, 50, 100)
KINDS = ("DNS", "epmd", "RPC")
GROWING = SIZES[2:]
"""In smaller clusters the ten names that a first member asks for weigh more than all others."""


def measure(_bench: Shop) -> list[Measurement]:
    """Form clusters of all sizes, a member after the other."""
    in_all: dict[int, Counter[str]] = {}
    last: dict[int, Counter[str]] = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            costs = form(Path(folder), size)
        in_all[size] = sum(costs, Counter())
        last[size] = costs[-1]
    answers = {"DNS": "names", "epmd": "epmds", "RPC": "nodes"}
    return [
        *(
            Measurement(
                key=f"questions.{kind.lower()}",
                title=f"{answers[kind]} asked in all, by the number of members",
                unit="",
                series={str(size): [float(in_all[size][kind])] for size in SIZES},
                note="counted once, since it does not vary",
            )
            for kind in KINDS
        ),
        Measurement(
            key="questions.growth",
            title="growth of the questions: exponent of the number of members",
            unit="",
            series={
                "in all": [_exponent([sum(in_all[size].values()) for size in GROWING])],
                "the last to join": [_exponent([sum(last[size].values()) for size in GROWING])],
                "nodes in all": [_exponent([in_all[size]["RPC"] for size in GROWING])],
            },
            note="who joins has to reach each member, since Erlang connects all of them, so each "
            "pair costs one question; it talks to one node only",
        ),
    ]


def _exponent(counts: list[int]) -> float:
    return figures.exponent(GROWING, [float(count) for count in counts], "growth of the questions")
