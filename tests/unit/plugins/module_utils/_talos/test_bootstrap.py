# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""talos_bootstrap: pinned exchanges. Above all, what is never sent (D12)."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils import _progress
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import InputError, ManagerError, WaitTimeout
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import bootstrap, transport
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from .server import CUT, Authority, Loop, Node, address, files_reply, member, reply, talosconfig

Make = t.Callable[..., Node]
UNBOOTSTRAPPED = GRPCError(Status.UNKNOWN, "no controlplane endpoints discovered yet")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(bootstrap, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(bootstrap, "RESEND_SECONDS", 0.05)


class Plane:
    """A scripted control plane. data: etcd's data is on its disk; number: its member, 0 while etcd gives no list;
    acts: what it does and answers when told to bootstrap, in turn (None: bootstraps and says so)."""

    def __init__(self, node: Node, number: int = 0, data: bool = False, acts: t.Sequence[t.Any] = (None,)) -> None:
        self.node, self.number, self.data, self.acts = node, number, data or bool(number), list(acts)
        node.answers = {"EtcdMemberList": self._members, "List": self._files, "Bootstrap": self._bootstrap}

    @property
    def told(self) -> int:
        """How often it was told to bootstrap."""
        return self.node.names.count("Bootstrap")

    def begin(self) -> None:
        self.number, self.data = 99, True

    def _members(self, _request: t.Any, _node: str | None) -> t.Any:
        return reply("EtcdMemberList", members=[member(self.number, "cp", self.node.ip)]) if self.number else UNBOOTSTRAPPED

    def _files(self, request: t.Any, _node: str | None) -> t.Any:
        assert (request.root, request.recurse) == ("/var/lib/etcd", False)
        return files_reply(*(["member"] if self.data else []))

    def _bootstrap(self, request: t.Any, _node: str | None) -> t.Any:
        assert not request.recover_etcd
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if act in (None, "lost"):
            self.begin()
        return reply("Bootstrap") if act is None else CUT if act == "lost" else act


def run(*planes: Plane | Node | str, check: bool = False, authority: Authority | None = None, endpoints: t.Sequence[str] = (), timeout: float = 20) -> Outcome:
    """Run the module's work on control planes cp-1, cp-2, ...; a str is an address."""
    nodes = [plane.node if isinstance(plane, Plane) else plane for plane in planes]
    authority = authority or next(node.authority for node in nodes if isinstance(node, Node))
    rows = [{"name": f"cp-{number}", "address": node if isinstance(node, str) else node.ip} for number, node in enumerate(nodes, 1)]
    return bootstrap.bootstrap({"talosconfig": talosconfig(authority, *endpoints), "nodes": rows, "wait_timeout": timeout}, check)


def etcd(outcome: Outcome) -> list[str]:
    return [node["etcd"] for node in outcome.nodes]


def steps(outcome: Outcome) -> list[tuple[str, str]]:
    return [(step.verb, step.node) for step in outcome.steps]


def test_d12_the_first_is_bootstrapped_once_after_all_were_asked(nodes: Make) -> None:
    planes = [Plane(nodes().secure()) for _number in range(3)]
    with _progress.running() as progress:
        outcome = run(*planes)
    assert {name: list(phases) for name, phases in progress.timing.items()} == {"cp-1": ["empty", "member"], "cp-2": ["empty"], "cp-3": ["empty"]}
    assert [plane.told for plane in planes] == [1, 0, 0]
    assert planes[0].node.names == ["EtcdMemberList", "List", "Bootstrap", "EtcdMemberList"]
    assert all(plane.node.names[:2] == ["EtcdMemberList", "List"] for plane in planes)
    assert steps(outcome) == [("bootstrap", "cp-1")]
    assert outcome.values["bootstrapped"] is True
    assert [row["id"] for row in outcome.values["members"]] == ["0000000000000063"]
    assert etcd(outcome) == ["member", "empty", "empty"]


def test_bootstrapped_already(nodes: Make) -> None:
    plane = Plane(nodes().secure(), number=7)
    outcome = run(plane)
    assert (outcome.steps, plane.node.names) == ([], ["EtcdMemberList"])
    assert outcome.values["bootstrapped"] is True


def test_d12_not_the_first_but_another_has_etcd(nodes: Make) -> None:
    first, second = Plane(nodes().secure()), Plane(nodes().secure(), number=7)
    outcome = run(first, second)
    assert (first.told, second.told, outcome.steps) == (0, 0, [])
    assert etcd(outcome) == ["empty", "member"]


def test_d12_data_without_member_list_is_waited_for(nodes: Make) -> None:
    """As after a reboot, or after a run that was killed right after it had bootstrapped."""
    first, second = Plane(nodes().secure()), Plane(nodes().secure(), data=True)
    asked = second.node.answers["List"]

    def files(request: t.Any, node: str | None) -> t.Any:
        if second.node.names.count("List") > 2:
            second.begin()
        return asked(request, node)

    second.node.answers["List"] = files
    outcome = run(first, second)
    assert (first.told, second.told, outcome.steps) == (0, 0, [])
    assert outcome.values["bootstrapped"] is True


def test_d12_data_that_never_answers(nodes: Make) -> None:
    first, second = Plane(nodes().secure()), Plane(nodes().secure(), data=True)
    with pytest.raises(WaitTimeout, match=r"cp-2 .*has etcd's data, but gives no member list"):
        run(first, second, timeout=0.2)
    assert (first.told, second.told) == (0, 0)


def test_d12_one_that_does_not_answer_may_have_been_bootstrapped(nodes: Make) -> None:
    first = Plane(nodes().secure())
    with pytest.raises(WaitTimeout, match=r"cp-2 .*may have been bootstrapped before .*refused"):
        run(first, address(), timeout=0.2)
    assert first.told == 0


def test_d12_a_disk_that_cannot_be_read(nodes: Make) -> None:
    first, second = Plane(nodes().secure()), Plane(nodes().secure())
    second.node.answers["List"] = GRPCError(Status.UNKNOWN, "lstat /var/lib/etcd: permission denied")
    with pytest.raises(WaitTimeout, match=r"cp-2 .*may have been bootstrapped before .*permission denied"):
        run(first, second, timeout=0.2)
    second.node.answers["List"] = (*files_reply(), *[type(files_reply()[0])(relative_name="x", error="input/output error")])
    with pytest.raises(WaitTimeout, match="input/output error"):
        run(first, second, timeout=0.2)
    assert first.told == 0


def test_no_directory_is_no_data(nodes: Make) -> None:
    plane = Plane(nodes().secure())
    plane.node.answers["List"] = GRPCError(Status.UNKNOWN, "lstat /var/lib/etcd: no such file or directory")
    assert steps(run(plane)) == [("bootstrap", "cp-1")]


def test_one_in_maintenance_mode_has_no_part_in_etcd(nodes: Make) -> None:
    """And is never the first member."""
    plane = Plane(nodes().secure())
    outcome = run(nodes().maintenance(), plane)
    assert steps(outcome) == [("bootstrap", "cp-2")]
    assert etcd(outcome) == ["maintenance", "member"]


def test_nobody_is_configured(nodes: Make) -> None:
    with pytest.raises(WaitTimeout, match="no control plane is configured: cp-1: in maintenance mode"):
        run(nodes().maintenance(), timeout=0.1)


def test_d12_a_lost_reply_is_asked_after(nodes: Make) -> None:
    """The node did it, the answer was lost: it is not told again."""
    plane = Plane(nodes().secure(), acts=["lost"])
    outcome = run(plane)
    assert (plane.told, steps(outcome)) == (1, [("bootstrap", "cp-1")])


def test_d12_a_lost_call_is_repeated_to_the_same_node_only(nodes: Make) -> None:
    first, second = Plane(nodes().secure(), acts=[CUT, None]), Plane(nodes().secure())
    outcome = run(first, second)
    assert (first.told, second.told, steps(outcome)) == (2, 0, [("bootstrap", "cp-1")])


def test_an_accepted_call_is_waited_for(nodes: Make) -> None:
    """Talos pulls etcd's image before it has data; being told again would begin that anew."""
    plane = Plane(nodes().secure(), acts=[reply("Bootstrap")])
    with pytest.raises(WaitTimeout, match="cp-1 was told to bootstrap .*no data"):
        run(plane, timeout=0.4)
    assert plane.told == 1


def test_d12_no_other_is_told_when_the_one_that_was_told_vanishes(nodes: Make, loop: Loop) -> None:
    """It may come back with etcd's data, or in maintenance mode; both are not the other's turn."""
    first, second = Plane(nodes().secure()), Plane(nodes().secure())

    async def reinstall() -> None:
        await first.node.shut()
        await first.node.listen(first.node.as_maintenance())

    def reinstalled(_request: t.Any, _node: str | None) -> t.Any:
        loop.loop.create_task(reinstall())
        return CUT

    first.node.answers["Bootstrap"] = reinstalled
    with pytest.raises(WaitTimeout, match="cp-1 was told to bootstrap and has not, and no other one is told"):
        run(first, second, timeout=0.5)
    assert (first.told, second.told) == (1, 0)


@pytest.mark.parametrize("text", ["bootstrap is not available yet", "time is not in sync yet"])
def test_not_yet_is_tried_again(nodes: Make, text: str) -> None:
    plane = Plane(nodes().secure(), acts=[GRPCError(Status.FAILED_PRECONDITION, text), None])
    assert steps(run(plane)) == [("bootstrap", "cp-1")]
    assert plane.told == 2


def test_somebody_else_was_faster(nodes: Make) -> None:
    plane = Plane(nodes().secure())

    def taken(_request: t.Any, _node: str | None) -> t.Any:
        plane.begin()
        return GRPCError(Status.ALREADY_EXISTS, "etcd data directory is not empty")

    plane.node.answers["Bootstrap"] = taken
    outcome = run(plane)
    assert (plane.told, outcome.steps, outcome.values["bootstrapped"]) == (1, [], True)


def test_refusals_end_it(nodes: Make) -> None:
    plane = Plane(nodes().secure(), acts=[GRPCError(Status.UNIMPLEMENTED, "bootstrap is only available on control plane nodes")])
    with pytest.raises(ManagerError, match="cp-1 refuses to bootstrap: .*only available on control plane nodes"):
        run(plane)
    for word in ("EtcdMemberList", "List"):
        plane.node.answers[word] = GRPCError(Status.PERMISSION_DENIED, "not authorized")
        with pytest.raises(ManagerError, match="talosconfig: .*not authorized"):
            run(plane)
        plane.node.answers["EtcdMemberList"] = UNBOOTSTRAPPED
    assert plane.told == 1


def test_d12_two_etcds_are_seen(nodes: Make) -> None:
    with pytest.raises(ManagerError, match="two etcds: cp-1 and cp-2 have no member in common"):
        run(Plane(nodes().secure(), number=1), Plane(nodes().secure(), number=2))


def test_another_clusters_talosconfig(nodes: Make) -> None:
    plane = Plane(nodes().secure())
    with pytest.raises(ManagerError, match=r"cp-1 .*is another cluster's: its certificate is not of this cluster's Talos CA"):
        run(plane, authority=Authority())
    assert plane.node.names == []


def test_d12_members_that_nobody_named(nodes: Make) -> None:
    """The talosconfig knows a control plane that is not in nodes, and it has etcd."""
    first, other = Plane(nodes().secure()), Plane(nodes().secure(), number=5)
    with pytest.raises(ManagerError, match="etcd is bootstrapped already: .*an endpoint of the talosconfig"):
        run(first, endpoints=[first.node.ip, other.node.ip])
    assert first.told == 0
    # Endpoints that do not answer are usual before a cluster exists.
    assert steps(run(first, endpoints=[address()])) == [("bootstrap", "cp-1")]


def test_check_mode_predicts_and_sends_nothing(nodes: Make) -> None:
    empty = Plane(nodes().secure())
    outcome = run(empty, nodes().maintenance(), check=True)
    assert (steps(outcome), empty.told, outcome.values["bootstrapped"]) == ([("bootstrap", "cp-1")], 0, True)
    assert steps(run("", check=True, authority=empty.node.authority)) == [("bootstrap", "cp-1")]
    assert steps(run(address(), check=True, authority=empty.node.authority)) == [("bootstrap", "cp-1")]
    data = Plane(nodes().secure(), data=True)
    assert steps(run(empty, data, check=True)) == []
    assert steps(run(Plane(nodes().secure(), number=4), check=True)) == []


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "nodes: name all control planes"),
        ([{"name": "a", "address": "127.0.0.1"}, {"name": "a", "address": "127.0.0.2"}], "empty or named twice"),
        ([{"name": "a", "address": ""}], "nodes: no address of a"),
    ],
)
def test_options(authority: Authority, rows: list[dict[str, str]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        bootstrap.bootstrap({"talosconfig": talosconfig(authority), "nodes": rows, "wait_timeout": 1}, False)
