# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS side of the seeded world, made through the AWS API as a user would make it."""

from __future__ import annotations

import time
import typing as t

import boto3

# Third octets of the subnets in zones a, b and c: private ones for nodes, public ones for load balancers that face the internet.
SUBNETS = (10, 20, 30)
PUBLIC_SUBNETS = (110, 120, 130)
ZONES = ("a", "b", "c")
ROOT_DEVICE = "/dev/xvda"
ANYWHERE = [{"CidrIp": "0.0.0.0/0"}]
# Load balancer -> scheme, kind of its targets, listener port -> target port.
LOAD_BALANCERS: dict[str, tuple[str, str, dict[int, int]]] = {
    "apiserver": ("internal", "apiserver", {6443: 6443}),
    "ingress-internal": ("internal", "ingress", {80: 30080, 443: 30443}),
    "ingress-external": ("internet-facing", "ingress", {80: 31080, 443: 31443}),
}
WAIT_TIMEOUT = 30.0


def tag_list(tags: t.Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as AWS wants them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _permission(first: int, last: int, ranges: list[dict[str, str]]) -> dict[str, t.Any]:
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "IpRanges": ranges}


class Account:
    """The account of one sandbox while it is seeded. network: "127.x"."""

    def __init__(self, endpoint: str, region: str, network: str) -> None:
        session = boto3.Session(aws_access_key_id="AKIASANDBOX000000000", aws_secret_access_key="sandbox", region_name=region)
        self.ec2: t.Any = session.client("ec2", endpoint_url=endpoint)
        self.elb: t.Any = session.client("elbv2", endpoint_url=endpoint)
        self.region = region
        self.prefix = network
        self.vpc = ""
        self.subnets: list[str] = []
        self.public_subnets: list[str] = []
        self.image_ids: dict[str, str] = {}

    def network(self) -> None:
        """A VPC that is the sandbox's own network, with a private and a public subnet per zone; the public ones have a way to the internet."""
        self.vpc = self.ec2.create_vpc(CidrBlock=f"{self.prefix}.0.0/16", TagSpecifications=_specification("vpc", {"Name": "sandbox"}))["Vpc"]["VpcId"]
        self.subnets = [self._subnet(zone, octet, {"Name": f"sandbox-{zone}"}) for zone, octet in zip(ZONES, SUBNETS, strict=True)]
        public = [(zone, octet, {"Name": f"sandbox-public-{zone}"}) for zone, octet in zip(ZONES, PUBLIC_SUBNETS, strict=True)]
        self.public_subnets = [self._subnet(*one) for one in public]
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        for subnet in self.public_subnets:
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
            self.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})

    def _subnet(self, zone: str, octet: int, tags: t.Mapping[str, str]) -> str:
        block = {"CidrBlock": f"{self.prefix}.{octet}.0/24", "AvailabilityZone": self.region + zone}
        made = self.ec2.create_subnet(VpcId=self.vpc, TagSpecifications=_specification("subnet", tags), **block)
        return str(made["Subnet"]["SubnetId"])

    def images(self, talos_versions: t.Sequence[str]) -> dict[str, str]:
        """Register an image per Talos version; {image id: version}."""
        for version in talos_versions:
            name = f"talos-{version}-{self.region}-amd64"
            made = self.ec2.register_image(
                Name=name,
                Description=f"Talos {version}",
                Architecture="x86_64",
                VirtualizationType="hvm",
                RootDeviceName=ROOT_DEVICE,
                EnaSupport=True,
                BlockDeviceMappings=[{"DeviceName": ROOT_DEVICE, "Ebs": {"VolumeSize": 8, "VolumeType": "gp3", "DeleteOnTermination": True}}],
            )
            self.image_ids[version] = made["ImageId"]
            self.ec2.create_tags(Resources=[made["ImageId"]], Tags=tag_list({"Name": name}))
        return {image: version for version, image in self.image_ids.items()}

    def _group(self, name: str, tags: t.Mapping[str, str], permissions: list[dict[str, t.Any]]) -> str:
        made = self.ec2.create_security_group(
            GroupName=name, Description=name, VpcId=self.vpc, TagSpecifications=_specification("security-group", {"Name": name, **tags})
        )
        self.ec2.authorize_security_group_ingress(GroupId=made["GroupId"], IpPermissions=permissions)
        return str(made["GroupId"])

    def security_groups(self, cluster: str) -> dict[str, str]:
        """A cluster's groups: node (Talos' port in a range), nlb, and one that admits nothing of ours."""
        inside = [{"CidrIp": f"{self.prefix}.0.0/16"}]
        node = [_permission(49000, 51000, inside), _permission(10250, 10250, inside), _permission(6443, 6443, inside), _permission(30000, 32767, ANYWHERE)]
        nlb = [_permission(port, port, ANYWHERE) for port in (80, 443, 6443)]
        return {
            "node": self._group(f"{cluster}-node", {"Cluster": cluster}, node),
            "nlb": self._group(f"{cluster}-nlb", {"Cluster": cluster, "LoadBalancer": "true"}, nlb),
            "efs": self._group(f"{cluster}-efs", {"Cluster": cluster}, [_permission(2049, 2049, inside)]),
        }

    def load_balancers(self, cluster: str, group: str) -> dict[str, list[tuple[str, int]]]:
        """The cluster's load balancers, <cluster>-apiserver and two for ingress; their target groups by kind, as (ARN, port)."""
        groups: dict[str, list[tuple[str, int]]] = {"apiserver": [], "ingress": []}
        for word, (scheme, kind, listeners) in LOAD_BALANCERS.items():
            arn = self._load_balancer(f"{cluster}-{word}", scheme, {"Cluster": cluster}, [group])
            for port, target_port in listeners.items():
                made = self._listener(arn, port, f"{cluster}-{word}-{port}", target_port, {"Cluster": cluster})
                groups[kind].append((made, target_port))
        return groups

    def _load_balancer(self, name: str, scheme: str, tags: t.Mapping[str, str], groups: list[str]) -> str:
        subnets = self.public_subnets if scheme == "internet-facing" else self.subnets
        made = self.elb.create_load_balancer(Name=name, Type="network", Scheme=scheme, Subnets=subnets, SecurityGroups=groups, Tags=tag_list(tags))
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    def _listener(self, balancer: str, port: int, name: str, target_port: int, tags: t.Mapping[str, str]) -> str:
        """A listener and the target group behind it; returns the group's ARN."""
        group = self.elb.create_target_group(
            Name=name, Protocol="TCP", Port=target_port, VpcId=self.vpc, TargetType="instance", HealthCheckProtocol="TCP", Tags=tag_list(tags)
        )["TargetGroups"][0]["TargetGroupArn"]
        self.elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=port, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
        return str(group)

    def launch(self, talos_version: str, *, zone: int, address: str, groups: list[str], tags: t.Mapping[str, str], user_data: str = "") -> str:
        """Run one VM at an address; its instance ID."""
        made = self.ec2.run_instances(
            ImageId=self.image_ids[talos_version],
            InstanceType="m5.large",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": self.subnets[zone], "Groups": groups, "PrivateIpAddress": address, "DeleteOnTermination": True}],
            BlockDeviceMappings=[{"DeviceName": ROOT_DEVICE, "Ebs": {"VolumeSize": 40, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}}],
            MetadataOptions={"HttpTokens": "required"},
            UserData=user_data,
            TagSpecifications=_specification("instance", tags),
        )
        return str(made["Instances"][0]["InstanceId"])

    def wait_running(self, instances: list[str]) -> None:
        """Until all are running."""
        self._wait("instances to run", lambda: {self._state(one) for one in self._described(instances)} == {"running"})

    def _described(self, instances: list[str]) -> list[dict[str, t.Any]]:
        pages = self.ec2.get_paginator("describe_instances").paginate(InstanceIds=instances)
        return [instance for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]

    @staticmethod
    def _state(instance: t.Mapping[str, t.Any]) -> str:
        return str(instance["State"]["Name"])

    def register(self, group: str, instances: t.Sequence[str], port: int) -> None:
        """Register instances with a target group on a port."""
        if instances:
            self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance, "Port": port} for instance in instances])

    def wait_healthy(self, groups: t.Sequence[str]) -> None:
        """Until every target of these groups is healthy."""
        for group in groups:
            self._wait(f"targets of {group} to be healthy", lambda group=group: set(self._health(group)) <= {"healthy"})  # type: ignore[misc]

    def _health(self, group: str) -> list[str]:
        answer = self.elb.describe_target_health(TargetGroupArn=group)
        return [target["TargetHealth"]["State"] for target in answer["TargetHealthDescriptions"]]

    def _wait(self, what: str, done: t.Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_TIMEOUT
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the seeded world did not come up: waited {WAIT_TIMEOUT:g} s for {what}")
            time.sleep(0.02)

    def foreign(self) -> None:
        """What others have in the account: groups, load balancers, an instance; and a load balancer that a controller in fargle made."""
        office = self._group("office", {}, [_permission(50000, 50000, ANYWHERE)])
        for name, tags in (("shop", {"team": "shop"}), ("k8s-web-frontend", {"Cluster": "fargle", "elbv2.k8s.aws/cluster": "fargle"})):
            arn = self._load_balancer(name, "internal", tags, [office])
            self._listener(arn, 80, name, 8080, tags)
        newest = sorted(self.image_ids)[-1]
        self.launch(newest, zone=0, address=f"{self.prefix}.{SUBNETS[0]}.200", groups=[office], tags={"Name": "bastion"})


def _specification(kind: str, tags: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    return [{"ResourceType": kind, "Tags": tag_list(tags)}]
