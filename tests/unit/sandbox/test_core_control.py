# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API and its client, and the exports, on parts as small as can be."""

from __future__ import annotations

import copy
import subprocess
import typing as t
import urllib.error
import urllib.request

import pytest

from tests.sandbox import exports
from tests.sandbox.calls import Fault, Ledger
from tests.sandbox.control import SEED, SNAPSHOTS_KEPT, Control, ControlApp, ControlError, Worlds
from tests.sandbox.http import HttpServer, listen

HOST = "127.0.0.1"


class Shelf:
    """A part that stores a list."""

    def __init__(self, *items: str) -> None:
        self.items = list(items)

    def dump(self) -> list[str]:
        return sorted(self.items)

    def snapshot(self) -> list[str]:
        return copy.copy(self.items)

    def restore(self, snapshot: list[str], /) -> None:
        self.items = copy.copy(snapshot)


class Machines:
    """One machine with a config, and a list of what was done to it."""

    def __init__(self) -> None:
        self.done: list[tuple[t.Any, ...]] = []

    def set_ingress(self, name: str, present: bool) -> None:
        self.done.append(("ingress", name, present))

    def rekey(self, name: str) -> None:
        self.done.append(("rekey", name))

    def impersonate(self, name: str) -> None:
        self.done.append(("impersonate", name))

    def stolen(self, name: str) -> list[str]:
        return [f"config for {name}"]

    def set_alarm(self, name: str, alarm: int) -> None:
        self.done.append(("alarm", name, alarm))

    def nodes(self) -> list[dict[str, t.Any]]:
        return [{"name": "fargle-worker-1", "stage": "running"}]

    def config_of(self, name: str) -> str | None:
        return "machine: {}\n" if name == "fargle-worker-1" else None


class Cloud:
    """A cloud in which nothing goes wrong yet."""

    def __init__(self) -> None:
        self.conditions: dict[str, t.Any] = {"denied": [], "capacity": None}

    def set_conditions(self, changes: dict[str, t.Any]) -> dict[str, t.Any]:
        if unknown := changes.keys() - self.conditions.keys():
            raise ValueError(f"unknown condition {unknown}")
        self.conditions.update(changes)
        return self.conditions


class Served(t.NamedTuple):
    control: Control
    ledger: Ledger
    bread: Shelf
    milk: Shelf
    machines: Machines
    cloud: Cloud


@pytest.fixture
def served() -> t.Iterator[Served]:
    ledger, bread, milk, machines, cloud = Ledger(), Shelf("rye"), Shelf("oat"), Machines(), Cloud()
    worlds = Worlds({"bread": bread, "milk": milk})
    worlds.keep(SEED)
    listener = listen(HOST, 0)
    port = listener.getsockname()[1]
    server = HttpServer(ControlApp(ledger, worlds, machines, cloud), HOST, port, listener=listener)
    server.start()
    yield Served(Control(f"http://{HOST}:{port}"), ledger, bread, milk, machines, cloud)
    server.stop()


def test_calls_are_shown_in_order_and_summed_up(served: Served) -> None:
    with served.ledger.call("ec2", "DescribeInstances", mutating=False, detail={"ids": ["i-1"]}):
        pass
    for _ in range(2):
        with served.ledger.call("ec2", "RunInstances", mutating=True):
            pass
    assert [call["operation"] for call in served.control.calls()] == ["DescribeInstances", "RunInstances", "RunInstances"]
    assert served.control.calls()[0]["detail"] == {"ids": ["i-1"]}
    assert [call["number"] for call in served.control.calls(since=2)] == [3]
    assert served.control.mutating() == ["ec2.RunInstances", "ec2.RunInstances"]
    row = served.control.summary()["ec2.RunInstances"]
    assert (row["count"], row["mutating"], row["first"], row["seconds"] >= 0) == (2, 2, 2, True)
    served.control.forget_calls()
    assert served.control.calls() == []


def test_faults_are_posted_counted_and_cleared(served: Served) -> None:
    served.control.fault("throttle", "ec2", "RunInstances", ordinals=[1])
    call = served.ledger.begin("ec2", "RunInstances", mutating=True)
    assert call.fault is not None
    (fault,) = served.control.faults()
    assert (fault["kind"], fault["seen"], fault["hits"]) == ("throttle", 1, 1)
    served.control.clear_faults()
    assert served.control.faults() == []


def test_parked_calls_are_told(served: Served) -> None:
    served.control.fault("park", mutating=True, ordinals=[1])
    assert not served.ledger.held(served.ledger.begin("ec2", "DescribeInstances", mutating=False))
    call = served.ledger.begin("ec2", "RunInstances", mutating=True)
    assert served.control.parked() == [] and served.ledger.held(call)
    assert [one["operation"] for one in served.control.parked()] == ["RunInstances"]
    served.control.clear_faults()
    assert not served.ledger.held(call) and served.control.parked() == []


def test_waiting_calls_are_told(served: Served) -> None:
    served.control.fault("hold", "ec2", parties=2)
    first = served.ledger.begin("ec2", "RunInstances", mutating=True)
    assert served.ledger.waits(first)
    assert [one["operation"] for one in served.control.waiting()] == ["RunInstances"]
    second = served.ledger.begin("ec2", "RunInstances", mutating=True)
    assert not served.ledger.waits(first) and not served.ledger.waits(second)
    assert served.control.waiting() == []
    for wrong in (("hold", 1), ("park", 2)):
        with pytest.raises(ControlError, match="parties are at least 2"):
            served.control.fault(wrong[0], parties=wrong[1])


def test_spared_operations_are_not_hit_and_not_counted(served: Served) -> None:
    served.control.fault("park", mutating=True, ordinals=[1], spared=["update_leases"])
    assert not served.ledger.begin("kubernetes", "update_leases", mutating=True).fault
    assert served.ledger.begin("ec2", "RunInstances", mutating=True).fault


def test_a_share_with_a_seed_is_drawn_by_lot(served: Served) -> None:
    """The same calls with the same seed, others with another, about as many as the share says, and sometimes several in a row."""

    def drawn(seed: int) -> list[bool]:
        fault = Fault("throttle", share=0.3, seed=seed)
        return [fault.strikes("ec2", "RunInstances", True) for _call in range(1000)]

    hits = drawn(1)
    assert hits == drawn(1) != drawn(2)
    assert 250 < sum(hits) < 350
    assert any(hits[number : number + 3] == [True, True, True] for number in range(998))
    for wrong in ({"seed": 1}, {"seed": 1, "share": 0.3, "ordinals": [2]}):
        with pytest.raises(ControlError, match="a seed needs a share"):
            served.control.fault("throttle", **wrong)


def test_a_fault_of_unknown_kind_or_with_unknown_words_is_refused(served: Served) -> None:
    with pytest.raises(ControlError, match="unknown fault kind 'fire'"):
        served.control.fault("fire")
    with pytest.raises(ControlError, match="has no colour"):
        served.control.fault("error", colour="red")
    assert served.ledger.faults == []


def test_delays_are_set_and_cleared(served: Served) -> None:
    served.control.delays({"*": 0, "talos.boot": 2})
    assert (served.ledger.delay("talos.boot", 1.0), served.ledger.delay("elb.drain", 1.0)) == (2.0, 0.0)
    with pytest.raises(ControlError, match="not less than 0"):
        served.control.delays({"talos.boot": -1})
    served.control.clear_delays()
    assert served.ledger.delay("talos.boot", 1.0) == 1.0


def test_a_world_goes_back_to_what_it_was(served: Served) -> None:
    served.bread.items.append("spelt")
    world = served.control.world()
    assert (world["bread"], world["milk"]) == (["rye", "spelt"], ["oat"])
    served.bread.items.clear()
    served.milk.items.append("soy")
    served.control.restore(world)
    again = served.control.world()
    assert {**again, "snapshot": ""} == {**world, "snapshot": ""}
    served.control.reset()
    assert served.bread.items == ["rye"]


def test_only_so_many_snapshots_are_kept_and_the_seed_always(served: Served) -> None:
    first = served.control.world()
    for _ in range(SNAPSHOTS_KEPT - 1):
        served.control.world()
        served.control.look()
    served.control.restore(first)
    assert served.control.look() == {name: part for name, part in served.control.world().items() if name != "snapshot"}
    with pytest.raises(ControlError, match=f"no snapshot '{first['snapshot']}'"):
        served.control.restore(first)
    served.control.restore(SEED)


def test_nodes_and_their_configs_are_shown(served: Served) -> None:
    assert served.control.nodes() == [{"name": "fargle-worker-1", "stage": "running"}]
    assert served.control.config("fargle-worker-1") == "machine: {}\n"
    with pytest.raises(ControlError, match="no node 'other'"):
        served.control.config("other")


def test_nodes_are_given_trouble(served: Served) -> None:
    served.control.trouble("fargle-worker-1", "ingress", present=False)
    served.control.trouble("fargle-worker-1", "alarm", alarm=1)
    served.control.trouble("fargle-worker-1", "rekey")
    served.control.trouble("fargle-worker-1", "impersonate")
    assert [step[0] for step in served.machines.done] == ["ingress", "alarm", "rekey", "impersonate"]
    assert served.machines.done[0] == ("ingress", "fargle-worker-1", False)
    assert served.control.stolen("fargle-worker-1") == ["config for fargle-worker-1"]
    with pytest.raises(ControlError, match="have no POST fire"):
        served.control.trouble("fargle-worker-1", "fire")
    with pytest.raises(ControlError, match="no node 'other'"):
        served.control.trouble("other", "rekey")


def test_conditions_of_the_cloud_are_set_one_by_one(served: Served) -> None:
    assert served.control.conditions(denied=["RunInstances"]) == {"denied": ["RunInstances"], "capacity": None}
    assert served.control.conditions(capacity=2) == {"denied": ["RunInstances"], "capacity": 2}
    with pytest.raises(ControlError, match="unknown condition"):
        served.control.conditions(weather="bad")


def test_an_unknown_path_is_answered_with_the_known_ones(served: Served) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(served.control.url + "/nothing", timeout=5)
    with caught.value:
        assert caught.value.code == 404
        assert b"GET /calls" in caught.value.read()


EXPORTS = {"PATH": "/venv/bin", "VAULT_TOKEN": "a'b c", "AWS_REGION": "eu-central-1"}


def test_a_shell_and_the_fixture_read_the_export_lines_alike() -> None:
    script = exports.lines(EXPORTS) + 'printf "%s|" "$PATH" "$VAULT_TOKEN" "$AWS_REGION" "${AWS_PROFILE-none}"'
    base = {"PATH": "/usr/bin:/bin", "AWS_PROFILE": "work", "HOME": "/root"}
    shell = subprocess.run(["/bin/sh", "-c", script], env=base, capture_output=True, text=True, check=True).stdout
    env = exports.environment(exports.read(exports.lines(EXPORTS).splitlines()), base)
    assert shell == f"{env['PATH']}|{env['VAULT_TOKEN']}|{env['AWS_REGION']}|{env.get('AWS_PROFILE', 'none')}|"
    assert env == {"PATH": "/venv/bin:/usr/bin:/bin", "VAULT_TOKEN": "a'b c", "AWS_REGION": "eu-central-1", "HOME": "/root"}
