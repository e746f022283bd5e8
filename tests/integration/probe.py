# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of load balancers, in a process of their own: new connections at a steady rate through each listener, and what became of them.

A load balancer accepts a connection before it has one to a target, and resets it when it gets none: a client is served when its connection is
brought to an orderly end. `python -m tests.integration.probe LISTENER=HOST:PORT[,HOST:PORT…] …` runs until its standard input ends.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import json
import subprocess
import sys
import time
import typing as t

# New connections per second and listener, somewhat more than promised.
RATE = 52.0
TICK = 0.02
TIMEOUT = 15.0

Place = tuple[str, int]


@dataclasses.dataclass
class Listener:
    """What is known of one listener. outcomes: how many connections ended how; seconds: for how long new ones were opened."""

    places: t.Iterator[Place]
    opened: int = 0
    seconds: float = 0.0
    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    async def connect(self, place: Place) -> None:
        """One client: it connects, says that it has no question, and waits for the end."""
        try:
            async with asyncio.timeout(TIMEOUT):
                reader, writer = await asyncio.open_connection(*place)
                try:
                    writer.write_eof()
                    await reader.read()
                finally:
                    writer.close()
            self.outcomes["served"] += 1
        except ConnectionRefusedError:
            self.outcomes["refused"] += 1
        except TimeoutError:
            self.outcomes["timeout"] += 1
        except OSError:
            self.outcomes["reset"] += 1


async def probe(listeners: t.Mapping[str, Listener], ended: asyncio.Event) -> None:
    """Open connections until it has ended, then wait for those that are open."""
    begun = time.monotonic()
    tasks: set[asyncio.Task[None]] = set()
    while not ended.is_set():
        elapsed = time.monotonic() - begun
        for listener in listeners.values():
            # As many as are due by now: a pause is made up for.
            for _due in range(int(elapsed * RATE) - listener.opened):
                listener.opened += 1
                task = asyncio.create_task(listener.connect(next(listener.places)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            listener.seconds = elapsed
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), TICK)
    await asyncio.gather(*tasks)


def parse(argument: str) -> tuple[str, Listener]:
    """NAME=HOST:PORT,HOST:PORT."""
    name, _sign, places = argument.partition("=")
    found = [(host, int(port)) for host, _colon, port in (place.rpartition(":") for place in places.split(","))]
    return name, Listener(itertools.cycle(found))


async def _main(arguments: t.Sequence[str]) -> dict[str, t.Any]:
    listeners = dict(map(parse, arguments))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await probe(listeners, ended)
    return {name: {"opened": one.opened, "seconds": one.seconds, "outcomes": dict(one.outcomes)} for name, one in listeners.items()}


@dataclasses.dataclass
class Traffic:
    """What a probe has found, once its block is over: by listener, as _main prints it."""

    found: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)

    @property
    def rates(self) -> dict[str, float]:
        """New connections per second, by listener."""
        return {name: one["opened"] / one["seconds"] for name, one in self.found.items()}

    @property
    def failures(self) -> dict[str, dict[str, int]]:
        """Connections that were not served, by listener and how they ended."""
        bad = {name: {how: number for how, number in one["outcomes"].items() if how != "served"} for name, one in self.found.items()}
        return {name: outcomes for name, outcomes in bad.items() if outcomes}


@contextlib.contextmanager
def traffic(listeners: t.Mapping[str, t.Sequence[Place]]) -> t.Iterator[Traffic]:
    """Probe these listeners for the block."""
    arguments = [f"{name}=" + ",".join(f"{host}:{port}" for host, port in places) for name, places in listeners.items()]
    command = [sys.executable, "-m", "tests.integration.probe", *arguments]
    seen = Traffic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield seen
            seen.found = json.loads(process.communicate(timeout=4 * TIMEOUT)[0])
        finally:
            process.kill()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_main(sys.argv[1:]))))
