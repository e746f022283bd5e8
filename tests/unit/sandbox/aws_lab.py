# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small AWS to test the AWS part in: real boto3 clients, a VPC with three zones, and machines that only remember."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import time
import typing as t

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.sandbox.aws import AwsPart
from tests.sandbox.calls import Ledger
from tests.sandbox.loop import LoopThread

REGION = "eu-central-1"


class RecordingMachines:
    """Machines that do nothing and remember what they were told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.vms: dict[str, t.Any] = {}
        self.consoles: dict[str, str] = {}

    def power_on(self, vm: t.Any) -> None:
        self.told.append(("power_on", vm.instance_id))
        self.vms[vm.instance_id] = vm

    def power_off(self, instance_id: str) -> None:
        self.told.append(("power_off", instance_id))

    def destroy(self, instance_id: str) -> None:
        self.told.append(("destroy", instance_id))

    def console(self, instance_id: str) -> str:
        return self.consoles.get(instance_id, "")


@dataclasses.dataclass
class Lab:
    """A running AwsPart and what was set up in it."""

    part: AwsPart
    ledger: Ledger
    machines: RecordingMachines
    network: str
    loop: LoopThread
    vpc: str = ""
    subnets: dict[str, str] = dataclasses.field(default_factory=dict)
    group: str = ""
    image: str = ""
    clients: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    def client(self, service: str, attempts: int = 1) -> t.Any:
        """A boto3 client of this AWS; one attempt, so that faults are seen."""
        key = f"{service}/{attempts}"
        if key not in self.clients:
            config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=10)
            keys = {"aws_access_key_id": "AKIAEXAMPLEEXAMPLE00", "aws_secret_access_key": "secret"}
            self.clients[key] = boto3.client(service, region_name=REGION, endpoint_url=self.part.endpoint, config=config, **keys)
        return self.clients[key]

    @property
    def ec2(self) -> t.Any:
        return self.client("ec2")

    @property
    def elb(self) -> t.Any:
        return self.client("elbv2")

    def launch(self, **changes: t.Any) -> str:
        """RunInstances of one m5.large in zone a, changed as given; its instance ID."""
        return str(self.ec2.run_instances(**self.request(**changes))["Instances"][0]["InstanceId"])

    def request(self, **changes: t.Any) -> dict[str, t.Any]:
        """The parameters of launch(); None removes one."""
        base: dict[str, t.Any] = {"ImageId": self.image, "InstanceType": "m5.large", "SubnetId": self.subnets["a"], "SecurityGroupIds": [self.group]}
        base.update({"MinCount": 1, "MaxCount": 1}, **changes)
        return {name: value for name, value in base.items() if value is not None}

    def running(self, **changes: t.Any) -> str:
        """launch() and wait until it runs."""
        instance_id = self.launch(**changes)
        until(lambda: self.state(instance_id) == "running")
        return instance_id

    def instance(self, instance_id: str) -> dict[str, t.Any]:
        """The instance as DescribeInstances shows it, {} if it does not."""
        pages = self.ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [instance_id]}])["Reservations"]
        return dict(pages[0]["Instances"][0]) if pages else {}

    def state(self, instance_id: str) -> str:
        """Its state, "" if it is not visible."""
        found = self.instance(instance_id)
        return str(found["State"]["Name"]) if found else ""


class Answering:
    """A TCP server that greets every connection with its name, then echoes; `with` opens and closes it."""

    def __init__(self, lab: Lab, ip: str, port: int, name: str) -> None:
        self.lab, self.ip, self.port, self.name = lab, ip, port, name
        self._writers: set[asyncio.StreamWriter] = set()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError):
            writer.write(f"{self.name}\n".encode())
            while chunk := await reader.read(1024):
                writer.write(chunk)
        self._writers.discard(writer)
        writer.close()

    def __enter__(self) -> Answering:
        self._server = self.lab.loop.run(asyncio.start_server(self._talk, self.ip, self.port))
        return self

    def __exit__(self, *_: object) -> None:
        self.lab.loop.run(self._close())

    async def _close(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()


def greeting(address: str, port: int, source: str = "", patience: float = 2.0) -> str:
    """Who answers a new connection there (from the address source); "" if it is refused or reset, or nobody does in so many seconds."""
    try:
        with socket.create_connection((address, port), patience, (source, 0) if source else None) as connection:
            return connection.recv(100).decode().strip()
    except OSError:
        return ""


def until(true: t.Callable[[], t.Any], seconds: float = 5.0) -> t.Any:
    """Wait for a condition; AssertionError when it does not come true."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value


def phases(look: t.Callable[[], str], last: str) -> list[str]:
    """What look() shows one after the other until it shows `last`."""
    seen: list[str] = []

    def ended() -> bool:
        seen.append(look())
        return seen[-1] == last

    until(ended)
    return list(dict.fromkeys(seen))


@contextlib.contextmanager
def expect_refused(code: str, *words: str) -> t.Iterator[None]:
    """The call in the block is answered with this AWS error code, and a message with these words."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    assert all(word in error["Message"] for word in words), error["Message"]


def _start(ledger: Ledger, machines: RecordingMachines, loop: LoopThread) -> AwsPart:
    # Sandboxes begin at 127.20, other tests' networks are above 127.199.
    for octet in range(2, 20):
        part = AwsPart(ledger, machines, f"127.{octet}", loop.loop, region=REGION)
        with contextlib.suppress(OSError):
            part.start()
            return part
    raise OSError("no free network between 127.2 and 127.19")


@contextlib.contextmanager
def laboratory() -> t.Iterator[Lab]:
    """A started part with a VPC, a subnet in each of three zones, a security group and an image."""
    ledger, machines, loop = Ledger(), RecordingMachines(), LoopThread()
    loop.start()
    part = _start(ledger, machines, loop)
    lab = Lab(part, ledger, machines, part.network, loop)
    try:
        _furnish(lab)
        yield lab
    finally:
        part.stop()
        loop.stop()


def _furnish(lab: Lab) -> None:
    lab.vpc = lab.ec2.create_vpc(CidrBlock=f"{lab.network}.0.0/16")["Vpc"]["VpcId"]
    for zone, octet in (("a", 10), ("b", 20), ("c", 30)):
        made = lab.ec2.create_subnet(VpcId=lab.vpc, CidrBlock=f"{lab.network}.{octet}.0/24", AvailabilityZone=f"{REGION}{zone}")
        lab.subnets[zone] = made["Subnet"]["SubnetId"]
    lab.group = lab.ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=lab.vpc)["GroupId"]
    lab.image = lab.ec2.register_image(
        Name="talos-v1.11.2-eu-central-1-amd64",
        Architecture="x86_64",
        RootDeviceName="/dev/xvda",
        VirtualizationType="hvm",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}}],
    )["ImageId"]


@contextlib.contextmanager
def fresh(lab: Lab) -> t.Iterator[Lab]:
    """The lab with fast delays; afterwards the world, the ledger and the machines are as they were."""
    before = lab.part.snapshot()
    quick = (
        "ec2.checked",
        "ec2.pending",
        "ec2.terminating",
        "elb.provision",
        "elb.initial",
        "elb.interval",
        "elb.drain",
        "elb.propagate",
        "elb.release",
        "elb.unlink",
    )
    lab.ledger.delays = {"ec2.visible": 0.0, "ec2.console": 0.0, "elb.tagged": 0.0, **dict.fromkeys(quick, 0.02)}
    try:
        yield lab
    finally:
        lab.part.restore(before)
        lab.ledger.delays, lab.ledger.faults = {}, []
        lab.ledger.clear_calls()
        lab.machines.told.clear()
        lab.machines.consoles.clear()
