# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world that runs are measured in: the sandbox's cluster fargle with two ingress target groups, no simulated delays."""

from __future__ import annotations

import typing as t

import boto3

from tests.integration.playbooks import ELSEWHERE, ROOT
from tests.sandbox.fixture import RunningSandbox
from tests.sandbox.seed_aws import ZONES, tag_list

from .measured import PLAYBOOKS, Run, measure

CLUSTER = "fargle"
GROUPS = 2
# Others' things in the account.
FOREIGN_BALANCERS = 400
FOREIGN_INSTANCES = 1000
# EC2 launches this many at once without being asked whether it may.
LAUNCHED_AT_ONCE = 100
# Seconds, longer than any benchmark.
NEVER = 1e6


class Bench:
    """A sandbox while runs are measured on it."""

    def __init__(self, cloud: RunningSandbox) -> None:
        self.cloud = cloud
        session = boto3.Session(cloud.env["AWS_ACCESS_KEY_ID"], cloud.env["AWS_SECRET_ACCESS_KEY"], region_name=cloud.env["AWS_REGION"])
        self._ec2: t.Any = session.client("ec2", endpoint_url=cloud.env["AWS_ENDPOINT_URL"])
        self._elb: t.Any = session.client("elbv2", endpoint_url=cloud.env["AWS_ENDPOINT_URL"])
        cloud.control.reset()
        cloud.control.delays({"*": 0})
        self._two_groups()
        self._start: str = cloud.control.world()["snapshot"]

    def _two_groups(self) -> None:
        """fargle has four ingress target groups; the public load balancer goes with its two."""
        arn = self._elb.describe_load_balancers(Names=[f"{CLUSTER}-ingress-external"])["LoadBalancers"][0]["LoadBalancerArn"]
        groups = self._elb.describe_target_groups(LoadBalancerArn=arn)["TargetGroups"]
        self._elb.delete_load_balancer(LoadBalancerArn=arn)
        for group in groups:
            self._elb.delete_target_group(TargetGroupArn=group["TargetGroupArn"])

    def reset(self) -> None:
        """Back to the start."""
        self.cloud.control.restore(self._start)

    def foreign(self) -> None:
        """Fill the account with what belongs to others; from now on reset() comes back to this."""
        self.reset()
        vpc = self._ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["sandbox"]}])["Vpcs"][0]
        network = vpc["CidrBlock"].rpartition(".0.0/")[0]
        subnets = [
            self._ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock=f"{network}.{160 + 16 * index}.0/20", AvailabilityZone=self.cloud.env["AWS_REGION"] + zone)
            for index, zone in enumerate(ZONES)
        ]
        for number in range(FOREIGN_BALANCERS):
            tags, subnet = tag_list({"Cluster": f"other-{number}"}), subnets[0]["Subnet"]["SubnetId"]
            self._elb.create_load_balancer(Name=f"other-{number}", Type="network", Scheme="internal", Subnets=[subnet], Tags=tags)
        image = self._ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
        # They are to be listed, not to run: the simulator would be busy with them.
        self.cloud.control.delays({"ec2.pending": NEVER})
        for number in range(FOREIGN_INSTANCES // LAUNCHED_AT_ONCE):
            self._ec2.run_instances(
                ImageId=image,
                InstanceType="m5.large",
                MinCount=LAUNCHED_AT_ONCE,
                MaxCount=LAUNCHED_AT_ONCE,
                SubnetId=subnets[number % len(subnets)]["Subnet"]["SubnetId"],
                TagSpecifications=[{"ResourceType": "instance", "Tags": tag_list({"Cluster": f"other-{number}"})}],
            )
        self.cloud.control.delays({"ec2.pending": 0})
        self._start = self.cloud.control.world()["snapshot"]

    def _names(self, count: int) -> list[str]:
        return [f"{CLUSTER}-worker-{100 + number}" for number in range(count)]

    def create(self, count: int, **words: t.Any) -> Run:
        """Create this many workers."""
        return measure(self.cloud, ROOT / "playbooks" / "create_node.yml", {"cluster": CLUSTER, "role": "worker", "nodes": self._names(count), **words})

    def delete(self, count: int, **words: t.Any) -> Run:
        """Delete them again; the wait for connections that are long gone here is left out."""
        return measure(
            self.cloud, ROOT / "playbooks" / "delete_node.yml", {"cluster": CLUSTER, "nodes": self._names(count), "delete_node_traffic_floor": 0, **words}
        )

    def other(self, playbook: str, **words: t.Any) -> Run:
        """One of the playbooks that ours are compared with."""
        return measure(self.cloud, PLAYBOOKS / f"{playbook}.yml", words)


# Not the path that Ansible itself runs by: modules are shipped to it, as over any connection.
SHIPPED = {"ansible_python_interpreter": ELSEWHERE}
