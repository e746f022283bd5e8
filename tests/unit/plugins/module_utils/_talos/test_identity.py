# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose machine answers: fingerprints on consoles, modes of nodes."""

from __future__ import annotations

import asyncio
import datetime
import typing as t

import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.console import console_output, console_permission
from ansible_collections.k8s_cluster.manager.plugins.module_utils._errors import ManagerError
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import identity, tls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.talosconfig import Endpoint
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.transport import Connection
from botocore.exceptions import ClientError, EndpointConnectionError

from .server import Authority, Loop, Node, server_context

A, B = "A" * 42 + "/=", "b+" * 21 + "c="
LOG = '[talos] server certificate issued {"component": "controller-runtime", "controller": "runtime.%s", "fingerprint": "%s"}\r\n'
HINT = "[talos] \ttalosctl apply-config --insecure --nodes 10.0.0.5 --cert-fingerprint '%s' --file <config.yaml>\r\n"
Make = t.Callable[..., Node]


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        ("", None),
        ("[    1.0] booting\n", None),
        (LOG % ("MaintenanceServiceController", A), A),
        (LOG % ("MaintenanceServiceInformController", A), A),
        (HINT % A, A),
        (LOG % ("MaintenanceServiceController", A) + HINT % A + LOG % ("MaintenanceServiceController", B) + "tail", B),
        (HINT % B + "\x1b[31m" + LOG % ("MaintenanceServiceController", A), A),
        (f'[talos] something else {{"fingerprint": "{A}"}}\n', None),
        (LOG % ("MaintenanceServiceController", A[:30]), None),
    ],
)
def test_newest_fingerprint(console: str, expected: str | None) -> None:
    assert identity.newest_fingerprint(console) == expected


def look(node: Node, ca: Authority) -> identity.Sighting:
    async def run() -> identity.Sighting:
        async with Connection(Endpoint(node.ip), tls.unverified_context()) as stranger:
            return await identity.look(stranger, ca.pem)

    return asyncio.run(run())


def test_modes(nodes: Make, loop: Loop, authority: Authority) -> None:
    maintenance, secure, other = nodes().maintenance(), nodes().secure(), nodes().secure()
    misnamed = nodes().secure(names="10.1.1.1")
    seen = look(maintenance, authority)
    assert (seen.mode, seen.fingerprint) == ("maintenance", maintenance.fingerprint)
    assert look(secure, authority).mode == "secure"
    assert look(other, Authority()).mode == "foreign"
    assert look(misnamed, authority).mode == "unfit"
    silent = look(Node(loop, authority), authority)
    assert (silent.mode, silent.detail) == ("silent", "the Talos API does not answer (connection refused)")
    assert maintenance.calls == secure.calls == other.calls == []


def test_clocks_that_differ_do_not_make_a_machine_foreign(nodes: Make, authority: Authority) -> None:
    """A machine whose clock is not set yet has a certificate of another time: waited for, not given up."""
    node = nodes()
    issued = authority.issue("node", node.ip, lasts=-datetime.timedelta(days=1))
    node.loop.run(node.listen(server_context(authority, node.ip, issued)))
    seen = look(node, authority)
    assert (seen.mode, "are the clocks right" in seen.detail) == ("unfit", True)


class Ec2:
    """A scripted EC2 client: answers in turn, calls recorded."""

    def __init__(self, *answers: t.Any) -> None:
        self.answers, self.calls = list(answers), []

    def get_console_output(self, **kwargs: t.Any) -> t.Any:
        self.calls.append(kwargs)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetConsoleOutput")


def test_console_latest() -> None:
    ec2 = Ec2({"Output": "text"})
    assert console_output(ec2, "i-1") == "text"
    assert ec2.calls == [{"InstanceId": "i-1", "Latest": True}]


def test_console_of_older_instance_types() -> None:
    ec2 = Ec2(refused("UnsupportedOperation"), {"Output": "old"})
    assert console_output(ec2, "i-1") == "old"
    assert ec2.calls == [{"InstanceId": "i-1", "Latest": True}, {"InstanceId": "i-1"}]


@pytest.mark.parametrize("answer", [{}, {"Output": None}, refused("InvalidInstanceID.NotFound"), refused("RequestLimitExceeded")])
def test_console_not_there_yet(answer: t.Any) -> None:
    assert console_output(Ec2(answer), "i-1") == ""


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (refused("UnauthorizedOperation"), "console of i-1: UnauthorizedOperation; allow ec2:GetConsoleOutput"),
        (refused("InvalidInstanceID.Malformed"), "console of i-1: InvalidInstanceID.Malformed$"),
        (EndpointConnectionError(endpoint_url="http://x"), "console of i-1: Could not connect"),
    ],
)
def test_console_unreadable(answer: t.Any, match: str) -> None:
    with pytest.raises(ManagerError, match=match):
        console_output(Ec2(answer), "i-1")


def test_the_permission_is_tried_without_reading() -> None:
    ec2 = Ec2(refused("DryRunOperation"))
    console_permission(ec2, "i-1")
    assert ec2.calls == [{"InstanceId": "i-1", "DryRun": True}]


def test_a_missing_permission_is_named() -> None:
    with pytest.raises(ManagerError, match="console of i-1: UnauthorizedOperation; allow ec2:GetConsoleOutput, or choose another identity_check"):
        console_permission(Ec2(refused("UnauthorizedOperation")), "i-1")


@pytest.mark.parametrize("answer", [refused("InvalidInstanceID.NotFound"), refused("RequestLimitExceeded"), EndpointConnectionError(endpoint_url="http://x")])
def test_other_trouble_says_nothing_of_the_permission(answer: Exception) -> None:
    console_permission(Ec2(answer), "i-1")
