# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS modules' work on the sandbox's AWS: clients, options, runs."""

from __future__ import annotations

import collections
import functools
import itertools
import typing as t

import boto3
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.nodes import node_work
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.options import NodeOptions
from ansible_collections.k8s_cluster.manager.plugins.module_utils._outcome import Outcome

from tests.unit.sandbox.aws_lab import REGION, Lab

NAMES = ("fargle-worker-1", "fargle-worker-2", "fargle-worker-3")


class Killed(BaseException):
    """The process ends here."""


def client(endpoint: str, service: str) -> t.Any:
    """A client with the SDK's own retries."""
    keys = {"aws_access_key_id": "AKIAEXAMPLEEXAMPLE00", "aws_secret_access_key": "secret"}
    return boto3.client(service, region_name=REGION, endpoint_url=endpoint, **keys)


@functools.cache
def lasting_clients(endpoint: str) -> Clients:
    """Clients that all runs share; making one takes longer than most calls."""
    return Clients(functools.partial(client, endpoint))


def clients_of(lab: Lab, killed_after: int | None = None) -> Clients:
    """Clients for a run; when asked for, its process dies right after so many calls were answered."""
    if killed_after is None:
        return lasting_clients(lab.part.endpoint)
    numbers = itertools.count(1)

    def kill(**_kwargs: t.Any) -> None:
        if next(numbers) == killed_after:
            raise Killed

    def make(service: str) -> t.Any:
        mortal = client(lab.part.endpoint, service)
        mortal.meta.events.register("after-call.*.*", kill)
        return mortal

    return Clients(make)


def options(lab: Lab, **changes: t.Any) -> NodeOptions:
    base: dict[str, t.Any] = {
        "cluster": "fargle",
        "state": "present",
        "nodes": [{"name": name} for name in NAMES],
        "role": "worker",
        "image_id": lab.image,
        "instance_type": "m5.large",
        "subnet_id": [lab.subnets["a"], lab.subnets["b"]],
        "security_group_ids": [lab.group],
        "root_volume": {"size_gb": 20, "type": "gp3"},
        "placement_group_name": "",
        "tags": {},
        "iam_instance_profile": None,
        "associate_public_ip": None,
        "offer": None,
        "wait_timeout": 20,
        "concurrency": 3,
    }
    return NodeOptions.of_params({**base, **changes})


def play(lab: Lab, check: bool = False, clients: Clients | None = None, **changes: t.Any) -> Outcome:
    return node_work(options(lab, **changes), clients or clients_of(lab), check)


def plan(outcome: Outcome) -> list[dict[str, str]]:
    """The plan as a module returns it."""
    return [step.summary() for step in outcome.steps]


def living(lab: Lab) -> list[tuple[str, str]]:
    """(name, instance id) of all instances that are not gone."""
    states = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    pages = lab.ec2.describe_instances(Filters=states)["Reservations"]
    found = [item for page in pages for item in page["Instances"]]
    return sorted((next(tag["Value"] for tag in item["Tags"] if tag["Key"] == "Name"), item["InstanceId"]) for item in found)


def operations(lab: Lab) -> collections.Counter[str]:
    return collections.Counter(call.operation for call in lab.ledger.calls)
