# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on the local cloud, for a newcomer to watch. Exits non-zero when a number is not what it must be."""

from __future__ import annotations

import subprocess
import sys
import time
import typing as t
from pathlib import Path

from tests import worldview
from tests.sandbox.fixture import RunningSandbox, sandbox

ROOT = Path(__file__).resolve().parent.parent
CLUSTER = "fargle"
# Minutes mean something to real load balancers; the simulated ones stop sending traffic within a second.
FLOOR = "delete_node_traffic_floor=2"


class Failed(Exception):
    """A playbook failed; its output has been shown."""


def say(text: str = "") -> None:
    """Print now, not when a buffer is full."""
    print(text, flush=True)


def headline(text: str) -> None:
    """What comes next."""
    say(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


def play(cloud: RunningSandbox, playbook: str, words: str) -> None:
    """Run a playbook with these words, its output going to the terminal."""
    say(f'\n$ ansible-playbook playbooks/{playbook} -e "{words}"\n')
    environment = {
        **cloud.env,
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "False",
        "ANSIBLE_FORCE_COLOR": str(sys.stdout.isatty()),
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), f"playbooks/{playbook}", "-e", words]
    if subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False).returncode:
        raise Failed(playbook)


def show(cloud: RunningSandbox) -> dict[str, worldview.Node]:
    """Print the cluster as the simulated services have it; returns its nodes that serve."""
    found = worldview.nodes(cloud.control.world(), CLUSTER)
    say(worldview.table(found))
    return {name: node for name, node in found.items() if node.ready and node.stage == "running"}


def create(cloud: RunningSandbox, before: t.Mapping[str, worldview.Node]) -> None:
    """The creations, as totals: saying them again changes nothing."""
    for role, more in (("controlplane", 1), ("worker", 3)):
        total = sum(node.role == role for node in before.values()) + more
        play(cloud, "create_node.yml", f"cluster={CLUSTER} role={role} count={total}")


def demonstrate(cloud: RunningSandbox) -> tuple[int, int, int]:
    """Create, create again, delete; returns how many nodes were created, facts changed by the second run, nodes deleted."""
    headline(f"A running cluster, {CLUSTER}, on a local cloud")
    before = show(cloud)

    headline("One more control plane, three more workers")
    create(cloud, before)
    headline("The cluster now")
    grown = show(cloud)

    headline("The same words again: nothing is to change")
    world = cloud.control.world()
    create(cloud, before)
    changed = len(worldview.facts(world) ^ worldview.facts(cloud.control.world()))

    newest = max((name for name in grown if grown[name].role == "worker"), key=lambda name: int(name.rpartition("-")[2]))
    headline(f"One worker less: {newest}")
    play(cloud, "delete_node.yml", f"cluster={CLUSTER} nodes={newest} {FLOOR}")
    headline("What is left")
    left = show(cloud)
    return len(grown.keys() - before.keys()), changed, len(grown.keys() - left.keys())


def main() -> int:
    """Run the demonstration; the last line holds what was seen."""
    started = time.monotonic()
    say("Starting a local cloud: AWS, Talos, Kubernetes and Cloudflare simulated, Vault real (OpenBao), all on loopback addresses")
    try:
        with sandbox() as cloud:
            seen = demonstrate(cloud)
    except Failed as failure:
        say(f"\ndemo: {failure} failed")
        return 1
    say(f"\n{time.monotonic() - started:.0f} seconds; the local cloud is stopped.")
    say("demo: created {}, second run changed {}, deleted {}".format(*seen))
    return 0 if seen == (4, 0, 1) else 1


if __name__ == "__main__":
    sys.exit(main())
