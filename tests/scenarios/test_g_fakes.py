# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""G: faithful fakes. The sandbox refuses what moto, on which it is built, lets pass.

API = https://docs.aws.amazon.com/AWSEC2/latest/APIReference
"""

from __future__ import annotations

import pytest

from tests.unit.sandbox.aws_lab import Lab, expect_refused, until
from tests.unit.sandbox.test_aws_elb import group, health, register


@pytest.mark.parametrize("state", ["pending", "shutting-down", "terminated", "stopped"])
def test_G1_only_running_instances_can_be_registered(lab: Lab, state: str) -> None:
    """API_RegisterTargets: it must be in the running state; getmoto/moto#8286, #8350; kubernetes-sigs/cluster-api-provider-aws#5037."""
    tg = group(lab)
    if state == "pending":
        lab.ledger.delays["ec2.pending"] = 30.0
        instance_id = lab.launch()
    else:
        instance_id = lab.running()
        lab.ledger.delays["ec2.terminating"] = 30.0 if state == "shutting-down" else 0.0
        (lab.ec2.stop_instances if state == "stopped" else lab.ec2.terminate_instances)(InstanceIds=[instance_id])
    until(lambda: lab.state(instance_id) == state)
    with expect_refused("InvalidTarget", "not in a running state", instance_id):
        register(lab, tg, instance_id)
    assert health(lab, tg) == {}


def test_G2_protected_instance_fails_the_call(lab: Lab) -> None:
    """API errors-overview OperationNotPermitted; getmoto/moto#4097."""
    protected, other = lab.running(DisableApiTermination=True), lab.running()
    with expect_refused("OperationNotPermitted", protected, "disableApiTermination"):
        lab.ec2.terminate_instances(InstanceIds=[other, protected])
    assert (lab.state(protected), lab.state(other)) == ("running", "running")
