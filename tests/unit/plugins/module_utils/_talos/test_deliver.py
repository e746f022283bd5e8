# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""talos_apply_config: who gets a config, how often, and when a node is done; exchanges pinned."""

from __future__ import annotations

import asyncio
import base64
import re
import time
import typing as t

import pytest
import yaml
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _permit
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import deliver, transport
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from .server import CUT, Authority, Loop, Node, address, config_reply, member, reply, status_reply, talosconfig

CANARY = "canaryabcdefghijklmnop"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(deliver, "FIRST_TICK_SECONDS", 0.01)
    monkeypatch.setattr(deliver, "LAST_TICK_SECONDS", 0.05)


class Machine(Node):
    """A scripted machine that turns from maintenance to secure when it is configured, and joins a scripted etcd."""

    applied: bytes = b""
    stage = "running"
    # Seconds that the maintenance API goes on answering after an accepted config.
    lingers = 0.0
    etcd: Etcd | None = None
    # Scripted answers to ApplyConfiguration; None = accept. CUT accepts and cuts the connection.
    apply_answers: list[t.Any]

    def __init__(self, loop: Loop, authority: Authority, ip: str | None = None) -> None:
        super().__init__(loop, authority, ip)
        self.apply_answers = []
        self.answers = {"ApplyConfiguration": self._apply}

    async def _apply(self, request: t.Any, _node: str | None) -> t.Any:
        answer = self.apply_answers.pop(0) if self.apply_answers else None
        if answer is None or answer is CUT:
            self.applied = request.data
            asyncio.get_running_loop().call_later(self.lingers, lambda: asyncio.ensure_future(self._leave_maintenance()))
        return reply("ApplyConfiguration", warnings=["be careful"]) if answer is None else answer

    async def _leave_maintenance(self) -> None:
        await self.shut()
        if self.etcd:
            self.etcd.joins(self)
        await self.listen(self.as_secure())
        self.serve()

    def serve(self) -> Machine:
        """Answer as a configured node."""
        self.answers = {
            "Get": lambda request, _node: config_reply(self.applied.decode()) if request.id == "v1alpha1" else status_reply(self.stage),
            "Version": reply("Version", version={"tag": "v1.11.6"}),
        }
        return self

    @property
    def gets(self) -> list[str]:
        """The calls, resources by their ID."""
        return [request.id if name == "Get" else name for name, request, _node in self.calls]


class Etcd:
    """A scripted etcd, told by one running control plane."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.rows = [member(1, "cp-1", node.ip)]
        self.log: list[str] = []
        node.answers["EtcdMemberList"] = lambda _request, _node: reply("EtcdMemberList", members=self.rows)

    def joins(self, machine: Machine, votes_after: float = 0.1) -> None:
        """Add a machine as a learner that votes a little later."""
        self.log.append(f"learner {machine.ip}")
        row = member(len(self.rows) + 1, "new", machine.ip, learner=True)
        self.rows.append(row)

        def promote() -> None:
            self.log.append(f"votes {machine.ip}")
            row["is_learner"] = False

        asyncio.get_running_loop().call_later(votes_after, promote)


@pytest.fixture
def machine(loop: Loop, authority: Authority) -> t.Iterator[t.Callable[..., Machine]]:
    made: list[Machine] = []

    def make(etcd: Etcd | None = None, **kwargs: t.Any) -> Machine:
        made.append(Machine(loop, kwargs.pop("authority", authority)))
        made[-1].etcd = etcd
        for name, value in kwargs.items():
            setattr(made[-1], name, value)
        return made[-1]

    yield make
    for one in made:
        one.stop()


Make = t.Callable[..., Machine]


def config(authority: Authority, role: str = "worker") -> str:
    pem = {"crt": base64.b64encode(authority.pem.encode()).decode()}
    if role == "controlplane":
        pem["key"] = base64.b64encode(b"-----BEGIN ED25519 PRIVATE KEY-----\nAAAA\n-----END ED25519 PRIVATE KEY-----\n").decode()
    return yaml.safe_dump(
        {
            "version": "v1alpha1",
            "machine": {"type": role, "token": f"abcdef.{CANARY}", "ca": pem, "install": {"image": "ghcr.io/siderolabs/installer:v1.11.6"}},
            "cluster": {"clusterName": "fargle", "controlPlane": {"endpoint": "https://10.0.0.1:6443"}, "token": "abcdef.0123456789abcdef", "ca": pem},
        }
    )


def row(name: str, node: Node | None = None, **kwargs: t.Any) -> dict[str, t.Any]:
    """A node as the module's options have it."""
    empty: dict[str, t.Any] = {"labels": {}, "taints": [], "patch": None, "fingerprint": None, "instance_id": f"i-{name}"}
    return {"name": name, "hostname": f"{name}.example.org", "address": node.ip if node else None, **empty, **kwargs}


def run(authority: Authority, *rows: dict[str, t.Any], console: deliver.Console | None = None, check: bool = False, **options: t.Any) -> Outcome:
    params: dict[str, t.Any] = {
        "config": config(authority, options.get("role", "worker")),
        "patch": None,
        "nodes": list(rows),
        "role": "worker",
        "talos_version": None,
        "mode": "cloud",
        "talosconfig": talosconfig(authority),
        "endpoints": [],
        "identity_check": "console" if console else "none",
        "until": "joined",
        "configured": "compare",
        "wait_timeout": 20.0,
        "concurrency": 50,
    }
    return deliver.apply_configs({**params, **options}, console, check)


class Console:
    """Consoles by instance ID, reads counted. A list of texts is told one after the other."""

    def __init__(self, **texts: t.Any) -> None:
        self.texts = {f"i-{name}": text for name, text in texts.items()}
        self.reads: list[str] = []

    def __call__(self, instance_id: str) -> str:
        self.reads.append(instance_id)
        text = self.texts[instance_id]
        if isinstance(text, Exception):
            raise text
        return str(text if isinstance(text, str) else text.pop(0) if len(text) > 1 else text[0])


def told(fingerprint: str) -> str:
    return f'[talos] server certificate issued {{"component": "controller-runtime", "fingerprint": "{fingerprint}"}}\n'


def test_worker(machine: Make, authority: Authority) -> None:
    node = machine().maintenance()
    console = Console(a=told(node.fingerprint))
    shown = node.fingerprint
    outcome = run(authority, row("a", node), console=console)
    assert outcome.failures == {}
    assert node.gets == ["ApplyConfiguration", "machine", "Version"]
    request = node.calls[0][1]
    assert (request.mode, request.dry_run) == (1, False)
    sent = list(yaml.safe_load_all(request.data))
    assert sent[0]["machine"]["network"]["hostname"] == "a.example.org"
    assert sent[0]["machine"]["token"] == f"abcdef.{CANARY}"
    [result] = outcome.nodes
    digest = result.pop("digest")
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert result == {
        "name": "a",
        "address": node.ip,
        "was": "maintenance",
        "applied": True,
        "drift": False,
        "reboot": False,
        "reboot_for": [],
        "diff": None,
        "boot_id": None,
        "stage": "running",
        "talos_version": "v1.11.6",
        "fingerprint": shown,
        "seen": "stage running",
    }
    assert [step.summary() for step in outcome.steps] == [{"verb": "configure", "node": "a", "target": "machine config"}]
    assert outcome.steps[0].after == {"sha256": digest}
    assert console.reads == ["i-a"]
    assert outcome.warnings == ["a: be careful"]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts of all connections that are tried."""
    made: list[str] = []
    factory = transport._Channel._protocol_factory

    def noted(channel: t.Any) -> t.Any:
        made.append(channel._host)
        return factory(channel)

    monkeypatch.setattr(transport._Channel, "_protocol_factory", noted)
    return made


def test_a_worker_costs_a_connection_before_its_config_and_one_after(
    machine: Make, authority: Authority, connections: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handshakes are most of what a node costs: the connection that shows who answers is the one that the calls go over."""
    monkeypatch.setattr(deliver, "FIRST_TICK_SECONDS", 0.5)
    nodes = [machine().maintenance() for _number in range(3)]
    outcome = run(authority, *(row(str(number), node) for number, node in enumerate(nodes)))
    assert outcome.failures == {}
    assert sorted(connections) == sorted([node.ip for node in nodes] * 2)


def test_a_configured_worker_costs_one_connection_each_time_once_it_is_known(machine: Make, authority: Authority, connections: list[str]) -> None:
    node = configured(machine(stage="booting"), authority, "a")
    node.answers["Get"] = [status_reply("booting"), config_reply(node.applied.decode()), status_reply("booting"), status_reply("running")]
    assert run(authority, row("a", node)).failures == {}
    assert node.gets == ["machine", "Version", "v1alpha1", "machine", "machine"]
    assert len(connections) == 3 + 1 + 1


def test_no_secret_in_results(machine: Make, authority: Authority) -> None:
    node = machine().maintenance()
    outcome = run(authority, row("a", node))
    assert CANARY not in repr(outcome)


def test_workers_all_at_once(machine: Make, authority: Authority) -> None:
    machines = [machine(lingers=1.0).maintenance() for _number in range(10)]
    start = time.monotonic()
    outcome = run(authority, *(row(f"w-{number}", node) for number, node in enumerate(machines)))
    assert outcome.failures == {}
    assert [node["name"] for node in outcome.nodes] == [f"w-{number}" for number in range(10)]
    assert time.monotonic() - start < 9
    assert len({node.applied for node in machines}) == 10


def test_identity_none_is_loud(machine: Make, authority: Authority) -> None:
    node = machine().maintenance()
    assert "whoever answers" in run(authority, row("a", node)).warnings[0]
    assert run(authority, row("a", node)).warnings == []


def test_console_is_waited_for(machine: Make, authority: Authority) -> None:
    node = machine().maintenance()
    console = Console(a=["", told("B" * 43 + "="), told("B" * 43 + "=") + told(node.fingerprint)])
    assert run(authority, row("a", node), console=console).failures == {}
    assert console.reads == ["i-a"] * 3


def test_only_unfinished_consoles_are_read(machine: Make, authority: Authority) -> None:
    first, second = machine().maintenance(), machine().maintenance()
    console = Console(a=told(first.fingerprint), b=["", "", "", told(second.fingerprint)])
    assert run(authority, row("a", first), row("b", second), console=console).failures == {}
    assert (console.reads.count("i-a"), console.reads.count("i-b")) == (1, 4)


def test_impostor_gets_nothing(machine: Make, authority: Authority) -> None:
    node = machine().maintenance()
    other = "B" * 43 + "="
    outcome = run(authority, row("a", node), console=Console(a=told(other)), wait_timeout=0.2)
    assert node.calls == []
    assert f"certificate of fingerprint {node.fingerprint}, but the console of i-a tells {other}" in outcome.failures["a"]
    assert outcome.steps == []


def test_console_may_not_be_read(machine: Make, authority: Authority) -> None:
    node = machine().maintenance()
    outcome = run(authority, row("a", node), console=Console(a=ManagerError("allow ec2:GetConsoleOutput")))
    assert outcome.failures == {"a": "allow ec2:GetConsoleOutput"}


def test_fingerprint_given(machine: Make, authority: Authority) -> None:
    right, wrong = machine().maintenance(), machine().maintenance()
    rows = [row("a", right, fingerprint=right.fingerprint), row("b", wrong, fingerprint=right.fingerprint)]
    outcome = run(authority, *rows, identity_check="fingerprint")
    assert list(outcome.failures) == ["b"]
    assert "another machine, or it has re-keyed" in outcome.failures["b"]
    assert wrong.calls == []
    assert [node["applied"] for node in outcome.nodes] == [True, False]


def test_D7_reply_lost_but_done(machine: Make, authority: Authority) -> None:
    node = machine(apply_answers=[CUT], lingers=0.1).maintenance()
    outcome = run(authority, row("a", node))
    assert outcome.failures == {}
    assert node.gets.count("ApplyConfiguration") == 1
    assert outcome.nodes[0]["applied"] is True


def test_D7_lost_before_it_was_done(machine: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "RESEND_SECONDS", 0.1)
    node = machine(apply_answers=[GRPCError(Status.UNAVAILABLE, "transport is closing")]).maintenance()
    assert run(authority, row("a", node)).failures == {}
    assert node.gets.count("ApplyConfiguration") == 2


def test_throttled_apply_is_sent_again(machine: Make, authority: Authority) -> None:
    node = machine(apply_answers=[GRPCError(Status.RESOURCE_EXHAUSTED, "slow down")]).maintenance()
    outcome = run(authority, row("a", node))
    assert outcome.failures == {}
    assert node.gets.count("ApplyConfiguration") == 2


def test_D10b_lingering_maintenance_api(machine: Make, authority: Authority) -> None:
    """Answering in maintenance mode after an accepted config is neither done nor a reason to send it again."""
    node = machine(lingers=0.4).maintenance()
    start = time.monotonic()
    outcome = run(authority, row("a", node))
    assert time.monotonic() - start > 0.4
    assert outcome.nodes[0]["stage"] == "running"
    assert node.gets == ["ApplyConfiguration", "machine", "Version"]


def test_stage_running_is_waited_for(machine: Make, authority: Authority) -> None:
    node = machine(stage="booting").maintenance()
    outcome = run(authority, row("a", node), wait_timeout=1.0)
    assert outcome.failures["a"] == f"{node.ip}: not done within 1 s; last seen: stage booting"
    assert [step.node for step in outcome.steps] == ["a"]
    assert outcome.nodes[0]["stage"] == "booting"


def test_without_talosconfig_the_certificate_is_the_proof(machine: Make, authority: Authority) -> None:
    node = machine().maintenance()
    outcome = run(authority, row("a", node), talosconfig=None)
    assert outcome.failures == {}
    assert (outcome.nodes[0]["stage"], outcome.nodes[0]["drift"]) == (None, None)
    assert node.gets == ["ApplyConfiguration"]


def test_comes_back_unconfigured(machine: Make, authority: Authority) -> None:
    """A machine that rebooted before its disk held the config is configured again, but not for ever."""
    node = machine().maintenance()

    async def amnesia() -> None:
        await node.shut()
        await asyncio.sleep(0.1)
        await node.listen(node.as_maintenance())

    node._leave_maintenance = amnesia  # type: ignore[method-assign]
    outcome = run(authority, row("a", node), wait_timeout=5.0)
    assert "came back in maintenance mode each of the 3 times" in outcome.failures["a"]
    assert node.gets == ["ApplyConfiguration"] * 3


def test_refused_config_names_no_secret(machine: Make, authority: Authority) -> None:
    answer = GRPCError(Status.INVALID_ARGUMENT, f"unknown keys found during decoding:\nmachine:\n    toke: abcdef.{CANARY}\ncannot unmarshal `{CANARY[:7]}...`")
    node = machine(apply_answers=[answer]).maintenance()
    outcome = run(authority, row("a", node))
    assert "it refuses the machine config" in outcome.failures["a"]
    assert "unknown keys found during decoding" in outcome.failures["a"]
    assert CANARY[:7] not in outcome.failures["a"]
    assert node.gets == ["ApplyConfiguration"]
    assert outcome.steps == []


def test_one_failure_leaves_the_others_alone(machine: Make, authority: Authority, loop: Loop) -> None:
    good, silent = machine().maintenance(), Node(loop, authority)
    outcome = run(authority, row("a", silent), row("b", good), wait_timeout=2.0)
    assert list(outcome.failures) == ["a"]
    assert "last seen: the Talos API does not answer (connection refused)" in outcome.failures["a"]
    assert [(node["name"], node["was"], node["applied"]) for node in outcome.nodes] == [("a", "unreachable", False), ("b", "maintenance", True)]


def test_bad_patch_of_one_node(machine: Make, authority: Authority) -> None:
    good, bad = machine().maintenance(), machine().maintenance()
    outcome = run(authority, row("a", bad, patch="machine: {nonsense: 1}"), row("b", good))
    assert list(outcome.failures) == ["a"]
    assert "nonsense" in outcome.failures["a"]
    assert bad.calls == []
    assert good.applied


def configured(node: Machine, authority: Authority, name: str, text: str | None = None) -> Machine:
    """A machine that an earlier run has configured as the module would."""
    rendered = deliver.Options.of({**_params(authority), "nodes": [row(name)]}, True).rendered.nodes[name].text
    node.applied = (text or rendered).encode()
    node.serve().secure()
    return node


def _params(authority: Authority) -> dict[str, t.Any]:
    return {
        "config": config(authority),
        "patch": None,
        "role": "worker",
        "talos_version": None,
        "mode": "cloud",
        "talosconfig": None,
        "endpoints": [],
        "identity_check": "none",
        "until": "joined",
        "configured": "compare",
        "wait_timeout": 1,
        "concurrency": 5,
    }


def test_D10_configured_node_is_compared_not_configured(machine: Make, authority: Authority) -> None:
    node = configured(machine(), authority, "a")
    console = Console(a="")
    outcome = run(authority, row("a", node), console=console)
    assert (outcome.failures, outcome.steps, outcome.warnings) == ({}, [], [])
    assert (outcome.nodes[0]["was"], outcome.nodes[0]["applied"], outcome.nodes[0]["drift"]) == ("configured", False, False)
    assert node.gets == ["machine", "Version", "v1alpha1"]
    assert console.reads == []


def test_comments_and_order_are_no_drift(machine: Make, authority: Authority) -> None:
    text = "# as talosctl wrote it\n" + yaml.safe_dump({**yaml.safe_load(config(authority)), "debug": None}, sort_keys=True)
    text = text.replace("machine:\n", "machine:\n  network:\n    hostname: a.example.org\n")
    node = configured(machine(), authority, "a", text)
    assert run(authority, row("a", node)).nodes[0]["drift"] is False


def test_drift_is_reported_and_left(machine: Make, authority: Authority) -> None:
    node = configured(machine(), authority, "b")
    outcome = run(authority, row("a", node))
    assert outcome.nodes[0]["drift"] is True
    assert outcome.steps == []
    assert outcome.warnings == ["a is configured already, and not as it would be now; it was left as it is"]
    assert "ApplyConfiguration" not in node.gets


def test_unreadable_active_config_is_drift(machine: Make, authority: Authority) -> None:
    node = configured(machine(), authority, "a", "machine: {unknownKey: 1}")
    assert run(authority, row("a", node)).nodes[0]["drift"] is True


def test_killed_run_is_finished(machine: Make, authority: Authority) -> None:
    """Configured by a run that died: not configured again, but waited for until it runs."""
    node = configured(machine(stage="booting"), authority, "a")
    node.loop.loop.call_soon_threadsafe(node.loop.loop.call_later, 0.2, lambda: setattr(node, "stage", "running"))
    outcome = run(authority, row("a", node))
    assert (outcome.failures, outcome.steps) == ({}, [])
    assert outcome.nodes[0]["stage"] == "running"


def test_a_node_that_went_over_to_another_cluster_is_not_asked(machine: Make, authority: Authority) -> None:
    """Also when it was ours a moment ago."""
    node = machine(authority=Authority("other"), lingers=0.1).maintenance()
    outcome = run(authority, row("a", node))
    assert "another machine answers at its address" in outcome.failures["a"]
    assert node.gets == ["ApplyConfiguration"]


def test_foreign_machine(machine: Make, authority: Authority) -> None:
    node = machine(authority=Authority("other")).serve().secure()
    outcome = run(authority, row("a", node))
    assert "another machine answers at its address: its certificate is not of this cluster's Talos CA" in outcome.failures["a"]
    assert node.calls == []


def test_certificate_without_the_address(machine: Make, authority: Authority) -> None:
    node = machine().secure(names="10.9.9.9")
    outcome = run(authority, row("a", node), wait_timeout=0.2)
    assert "does not name" in outcome.failures["a"]
    assert "machine.certSANs" in outcome.failures["a"]


def test_client_without_rights(machine: Make, authority: Authority) -> None:
    node = machine().maintenance()
    node.serve = lambda: node.answers.update(Get=GRPCError(Status.PERMISSION_DENIED, "not authorized"))  # type: ignore[assignment,method-assign,return-value]
    outcome = run(authority, row("a", node))
    assert outcome.failures["a"].startswith("talosconfig: ")
    assert "not authorized" in outcome.failures["a"]


# ---- control planes ----


@pytest.fixture
def etcd(nodes: t.Callable[..., Node]) -> Etcd:
    return Etcd(nodes().secure())


def control(etcd: Etcd, authority: Authority, *rows: dict[str, t.Any], **options: t.Any) -> Outcome:
    return run(authority, *rows, **{"role": "controlplane", "endpoints": [etcd.node.ip], **options})


def test_control_planes_one_by_one(machine: Make, authority: Authority, etcd: Etcd) -> None:
    machines = [machine(etcd).maintenance() for _number in range(3)]
    outcome = control(etcd, authority, *(row(f"cp-{number}", node) for number, node in enumerate(machines, 2)))
    assert outcome.failures == {}
    joined = [entry.split()[1] for entry in etcd.log[::2]]
    assert sorted(joined) == sorted(node.ip for node in machines)
    assert etcd.log == [f"{what} {ip}" for ip in joined for what in ("learner", "votes")]
    assert all(node.gets.count("ApplyConfiguration") == 1 for node in machines)
    assert [step.node for step in outcome.steps] == ["cp-2", "cp-3", "cp-4"]


def test_F4_what_is_not_permitted_any_more_stops_the_next_control_plane(machine: Make, authority: Authority, etcd: Etcd) -> None:
    machines = [machine(etcd).maintenance() for _number in range(2)]

    def lost() -> None:
        if etcd.log:
            raise ManagerError("the lease was lost")

    with _permit.confirmed_by(lost):
        outcome = control(etcd, authority, *(row(f"cp-{number}", node) for number, node in enumerate(machines, 2)))
    assert list(outcome.failures.values()) == ["the lease was lost"]
    assert sum(node.gets.count("ApplyConfiguration") for node in machines) == 1


def test_D5_a_learner_of_another_run_is_waited_for(machine: Make, authority: Authority, etcd: Etcd) -> None:
    node = machine(etcd).maintenance()
    etcd.rows.append(member(9, "stranger", address(), learner=True))
    outcome = control(etcd, authority, row("cp-2", node), wait_timeout=0.2)
    assert "another member is still joining: 0000000000000009 (stranger" in outcome.failures["cp-2"]
    assert node.calls == []


def test_the_next_is_not_configured_after_a_failure(machine: Make, authority: Authority, etcd: Etcd) -> None:
    stuck, waiting = machine(None).maintenance(), machine(etcd).maintenance()
    waiting_for = Console(a=told(stuck.fingerprint), b=["", "", told(waiting.fingerprint)])
    outcome = control(etcd, authority, row("a", stuck), row("b", waiting), console=waiting_for, wait_timeout=1.5)
    assert "not yet a member of etcd" in outcome.failures["a"]
    assert outcome.failures["b"] == "not configured, since a did not become a voting member of etcd"
    assert waiting.calls == []


def test_a_crash_holds_nobody_up(machine: Make, authority: Authority, etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is no node's failure ends the run at once, also while others wait for their turn."""
    crashing, waiting = machine(etcd), machine(etcd).maintenance()
    crashing.serve().secure()
    monkeypatch.setattr(deliver, "same_config", lambda *_texts: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        control(etcd, authority, row("a", crashing), row("b", waiting))


def test_half_joined_control_plane_goes_first(machine: Make, authority: Authority, etcd: Etcd) -> None:
    """A killed run left one that is configured and not yet a member: the new one waits for it."""
    old, new = machine(etcd), machine(etcd).maintenance()
    old.serve().secure()
    old.applied = b"machine: {}"
    old.loop.loop.call_soon_threadsafe(old.loop.loop.call_later, 0.3, lambda: etcd.joins(old))
    outcome = control(etcd, authority, row("new", new), row("old", old))
    assert outcome.failures == {}
    assert [entry.split()[1] for entry in etcd.log] == [old.ip, old.ip, new.ip, new.ip]


def test_waiting_for_the_turn_costs_no_time(machine: Make, authority: Authority, etcd: Etcd) -> None:
    machines = [machine(etcd, lingers=0.8).maintenance() for _number in range(3)]
    outcome = control(etcd, authority, *(row(f"cp-{number}", node) for number, node in enumerate(machines)), wait_timeout=2.0)
    assert outcome.failures == {}


def test_unreadable_etcd_configures_nothing(machine: Make, authority: Authority, etcd: Etcd) -> None:
    node = machine(etcd).maintenance()
    etcd.node.answers["EtcdMemberList"] = GRPCError(Status.UNKNOWN, "etcdserver: no leader")
    outcome = control(etcd, authority, row("cp-2", node), wait_timeout=0.2)
    assert "etcd cannot be read" in outcome.failures["cp-2"]
    assert node.calls == []


def test_the_first_control_plane_is_configured_before_there_is_etcd(machine: Make, authority: Authority) -> None:
    """Nobody can say who is in etcd, and it stays in stage booting until it is bootstrapped."""
    node = machine(None, stage="booting").maintenance()
    outcome = run(authority, row("cp-1", node), role="controlplane", endpoints=[address()], until="configured")
    assert (outcome.failures, outcome.nodes[0]["stage"], outcome.nodes[0]["applied"]) == ({}, "booting", True)
    assert "EtcdMemberList" not in node.names
    again = run(authority, row("cp-1", node), role="controlplane", endpoints=[address()], until="configured")
    assert (again.steps, again.failures, again.nodes[0]["was"]) == ([], {}, "configured")
    stuck = run(authority, row("cp-1", node), role="controlplane", wait_timeout=0.2)
    assert "last seen: stage booting" in stuck.failures["cp-1"]


def test_one_that_still_installs_is_not_configured(machine: Make, authority: Authority) -> None:
    node = machine(None, stage="installing").maintenance()
    outcome = run(authority, row("cp-1", node), role="controlplane", until="configured", wait_timeout=0.5)
    assert "last seen: stage installing" in outcome.failures["cp-1"]


# ---- check mode and options ----


def test_check_mode_needs_no_machine(authority: Authority) -> None:
    outcome = run(authority, row("a"), row("b"), check=True, console=lambda _id: pytest.fail("read"), identity_check="console")
    assert [step.summary() for step in outcome.steps] == [{"verb": "configure", "node": name, "target": "machine config"} for name in "ab"]
    assert (outcome.nodes[0]["address"], outcome.nodes[0]["was"], outcome.nodes[0]["applied"]) == (None, None, False)


def test_check_mode_predicts_the_run(machine: Make, authority: Authority, loop: Loop) -> None:
    fresh, old = machine().maintenance(), configured(machine(), authority, "b")
    rows = [row("a", fresh), row("b", old)]
    predicted = run(authority, *rows, check=True)
    assert fresh.calls == []
    assert fresh.applied == b""
    assert old.gets == ["machine", "Version", "v1alpha1"]
    done = run(authority, *rows)
    assert predicted.steps == done.steps
    assert [step.node for step in done.steps] == ["a"]
    assert [node["was"] for node in predicted.nodes] == ["maintenance", "configured"]
    assert predicted.warnings[0] == done.warnings[0]


def test_check_mode_finds_foreign_machines(machine: Make, authority: Authority) -> None:
    node = machine(authority=Authority("other")).serve().secure()
    assert "another machine" in run(authority, row("a", node), check=True).failures["a"]


def test_nothing_to_do(authority: Authority) -> None:
    outcome = run(authority)
    assert (outcome.nodes, outcome.steps, outcome.failures) == ([], [], {})
    assert outcome.values["config_info"]["cluster_name"] == "fargle"


def test_all_problems_at_once(authority: Authority) -> None:
    other = talosconfig(Authority())
    with pytest.raises(InputError) as caught:
        run(authority, row("a", address=None), row("b", address="10.0.0.1", instance_id=None), identity_check="console", talosconfig=other, endpoints=["a:b"])
    text = str(caught.value)
    assert "talosconfig: its context test is of another cluster" in text
    assert "endpoints: " in text
    assert "nodes: a has no address" in text
    assert "nodes: b has no instance_id" in text
    assert len(caught.value.details["problems"]) == 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"role": "controlplane", "talosconfig": None}, "talosconfig: control planes need it"),
        ({"config": "machine: {type: worker}"}, "machine.ca"),
        ({"talosconfig": "{"}, "talosconfig is not YAML"),
        ({"identity_check": "fingerprint"}, "nodes: a has no fingerprint"),
        ({"config": "machine: [", "talosconfig": "{"}, "config.*talosconfig is not YAML"),
    ],
)
def test_bad_options(authority: Authority, options: dict[str, t.Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        run(authority, row("a", address="127.0.0.1"), **options)
