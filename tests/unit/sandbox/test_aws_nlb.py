# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data plane of network load balancers, through the sandbox's real listeners.

Each test cites where the real behaviour is documented. NLB = https://docs.aws.amazon.com/elasticloadbalancing/latest/network
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import typing as t

import pytest

from tests.sandbox import nlb
from tests.sandbox.loop import LoopThread
from tests.sandbox.nlb import DataPlane, Listener, Probe, Target, View

from .aws_lab import Answering, Lab, greeting, until
from .test_aws_elb import balancer, becomes, deregister, group, health, listen, register


class Front(t.NamedTuple):
    """A load balancer with running, healthy instances behind it, answering with their names."""

    group: str
    address: str
    instances: dict[str, str]
    servers: dict[str, Answering]


@contextlib.contextmanager
def front(lab: Lab, *names: str) -> t.Iterator[Front]:
    tg = group(lab)
    listen(lab, balancer(lab), tg)
    with contextlib.ExitStack() as stack:
        instances, servers = {}, {}
        for name in names:
            instances[name] = lab.running()
            address = lab.instance(instances[name])["PrivateIpAddress"]
            servers[name] = stack.enter_context(Answering(lab, address, 6443, name))
            register(lab, tg, instances[name])
        until(lambda: list(health(lab, tg).values()) == ["healthy"] * len(names))
        address = lab.part.address_of("fargle-apiserver")
        until(lambda: not names or greeting(address, 6443))
        yield Front(tg, address, instances, servers)


def answers(address: str, tries: int = 8) -> set[str]:
    """Who answers new connections; "" among them for a refused one."""
    return {greeting(address, 6443) for _ in range(tries)}


def is_ended(connection: socket.socket) -> bool:
    """True if the connection was reset or closed by the other side."""
    connection.settimeout(0.02)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_connections_reach_all_healthy_targets(lab: Lab) -> None:
    """NLB/introduction: a listener forwards to the healthy registered targets; here every zone's address does."""
    with front(lab, "one", "two"):
        until(lambda: all(answers(address) == {"one", "two"} for address in lab.part.addresses_of("fargle-apiserver")))


def test_bytes_go_both_ways(lab: Lab) -> None:
    """NLB/introduction: layer 4, the bytes as they are, half-closed connections too."""
    with front(lab, "one") as lb, socket.create_connection((lb.address, 6443), 2.0) as connection:
        data = bytes(range(256)) * 4000
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received == b"one\n" + data


def test_a_target_that_cuts_connections_at_once_is_unhealthy(lab: Lab) -> None:
    """So a simulated node without ingress pods refuses on its node ports; NLB/target-group-health-checks: a real one's connection attempt fails."""
    tg = group(lab)
    listen(lab, balancer(lab), tg)
    instance = lab.running()

    def cut(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                server.accept()[0].close()

    with socket.create_server((lab.instance(instance)["PrivateIpAddress"], 6443)) as server:
        threading.Thread(target=cut, args=(server,), daemon=True).start()
        register(lab, tg, instance)
        becomes(lab, tg, "unhealthy Target.FailedHealthChecks")
        server.shutdown(socket.SHUT_RDWR)


def test_a_sick_target_gets_no_new_connections(lab: Lab) -> None:
    """NLB/target-group-health-checks: traffic only to healthy targets."""
    with front(lab, "one", "two") as lb:
        lb.servers["two"].__exit__()
        until(lambda: health(lab, lb.group)[lb.instances["two"], 6443].startswith("unhealthy"))
        until(lambda: answers(lb.address) == {"one"})
        lb.servers["two"].__enter__()
        until(lambda: answers(lb.address) == {"one", "two"})


def test_no_target_resets_connections(lab: Lab) -> None:
    """NLB/load-balancer-cloudwatch-metrics TCP_ELB_Reset_Count: resets that the load balancer itself sends."""
    with front(lab) as lb:
        until(lambda: _resets(lb.address))


def _resets(address: str) -> bool:
    try:
        with socket.create_connection((address, 6443), 1.0) as connection:
            return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except OSError:
        return False


def test_fail_open(lab: Lab) -> None:
    """NLB/target-group-health: if no target is healthy, traffic goes to all of them."""
    tg = group(lab, HealthCheckPort="10256")
    listen(lab, balancer(lab), tg)
    instance_id = lab.running()
    with Answering(lab, lab.instance(instance_id)["PrivateIpAddress"], 6443, "one"):
        register(lab, tg, instance_id)
        becomes(lab, tg, "unhealthy Target.FailedHealthChecks")
        until(lambda: greeting(lab.part.address_of("fargle-apiserver"), 6443) == "one")


@pytest.mark.parametrize("keeps", ["true", "false"])
def test_a_target_that_keeps_client_addresses_does_not_reach_itself(lab: Lab, keeps: str) -> None:
    """NLB/load-balancer-troubleshooting: connections time out for requests from a target to its load balancer."""
    with front(lab, "one") as lb:
        own = lab.instance(lb.instances["one"])["PrivateIpAddress"]
        lab.elb.modify_target_group_attributes(TargetGroupArn=lb.group, Attributes=[{"Key": "preserve_client_ip.enabled", "Value": keeps}])
        until(lambda: greeting(lb.address, 6443, own, patience=0.3) == ("" if keeps == "true" else "one"))
        assert greeting(lb.address, 6443) == "one"


def test_connections_still_come_for_a_while_after_deregistration(lab: Lab) -> None:
    """kubernetes-sigs/aws-load-balancer-controller#2366, aws/containers-roadmap#470: deregistration takes time to spread."""
    lab.ledger.delays.update({"elb.propagate": 0.5, "elb.drain": 0.0})
    with front(lab, "one", "two") as lb:
        started = time.monotonic()
        deregister(lab, lb.group, lb.instances["two"])
        assert answers(lb.address) == {"one", "two"}
        until(lambda: answers(lb.address) == {"one"})
        assert time.monotonic() - started > 0.4


def test_a_draining_target_keeps_its_connections(lab: Lab) -> None:
    """NLB/edit-target-group-attributes: existing connections stay, kubernetes-sigs/cluster-api-provider-aws#5800."""
    with front(lab, "one") as lb, socket.create_connection((lb.address, 6443), 2.0) as connection:
        assert connection.recv(10) == b"one\n"
        deregister(lab, lb.group, lb.instances["one"])
        until(lambda: health(lab, lb.group) == {} and greeting(lb.address, 6443) == "")
        connection.sendall(b"still here")
        assert connection.recv(100) == b"still here"


def test_connection_termination_ends_them(lab: Lab) -> None:
    """NLB/edit-target-group-attributes: deregistration_delay.connection_termination.enabled."""
    with front(lab, "one") as lb, socket.create_connection((lb.address, 6443), 2.0) as connection:
        words = [{"Key": "deregistration_delay.connection_termination.enabled", "Value": "true"}]
        lab.elb.modify_target_group_attributes(TargetGroupArn=lb.group, Attributes=words)
        assert connection.recv(10) == b"one\n"
        deregister(lab, lb.group, lb.instances["one"])
        until(lambda: is_ended(connection))


def test_unhealthy_targets_lose_their_connections(lab: Lab) -> None:
    """NLB/edit-target-group-attributes: target_health_state.unhealthy.connection_termination.enabled is true by default."""
    tg = group(lab, HealthCheckPort="10256")
    listen(lab, balancer(lab), tg)
    instance_id = lab.running()
    address = lab.instance(instance_id)["PrivateIpAddress"]
    with Answering(lab, address, 6443, "one"):
        with Answering(lab, address, 10256, "checked"):
            register(lab, tg, instance_id)
            becomes(lab, tg, "healthy")
            until(lambda: greeting(lab.part.address_of("fargle-apiserver"), 6443) == "one")
            connection = socket.create_connection((lab.part.address_of("fargle-apiserver"), 6443), 2.0)
            assert connection.recv(10) == b"one\n"
        with connection:
            until(lambda: is_ended(connection))


def test_deleting_the_load_balancer_closes_its_listeners(lab: Lab) -> None:
    """API_DeleteLoadBalancer: deletes the load balancer and its listeners."""
    with front(lab, "one") as lb:
        arn = lab.elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
        lab.elb.delete_load_balancer(LoadBalancerArn=arn)
        until(lambda: socket.socket().connect_ex((lb.address, 6443)) != 0)


def test_restored_world_forwards_again(lab: Lab) -> None:
    """The contract of the sandbox: listeners and targets come back with a snapshot."""
    with front(lab, "one") as lb:
        world = lab.part.snapshot()
        lab.elb.delete_load_balancer(LoadBalancerArn=lab.elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"])
        until(lambda: greeting(lb.address, 6443) == "")
        lab.part.restore(world)
        until(lambda: greeting(lb.address, 6443) == "one")


def test_a_port_for_root_only_is_moved_up(lab: Lab, monkeypatch: t.Any) -> None:
    """Who is not root sees the listener 30000 ports higher, and port_of() says where."""
    original = lab.loop.loop.create_server

    async def unprivileged(protocol: t.Any, host: str, port: int, **more: t.Any) -> t.Any:
        if port < 1024:
            raise PermissionError(13, "Permission denied")
        return await original(protocol, host, port, **more)

    monkeypatch.setattr(lab.loop.loop, "create_server", unprivileged)
    address = f"{lab.network}.1.251"
    with Answering(lab, f"{lab.network}.10.99", 8443, "one"):
        plane = DataPlane(lab.loop.loop, lambda _: None)
        plane.start()
        plane.show(View((Listener(address, 443, (Target("one", f"{lab.network}.10.99", 8443),)),)))
        until(lambda: plane.bound.get((address, 443)) == 30443)
        assert greeting(address, 30443) == "one"
        plane.stop()
    assert greeting(address, 30443) == ""


def test_checks_that_take_long_leave_the_loop_as_long_to_others(monkeypatch: t.Any) -> None:
    rounds = []

    async def slow(probe: Probe) -> str:
        await asyncio.sleep(0.2)
        return ""

    monkeypatch.setattr(nlb, "_probe", slow)
    loop = LoopThread()
    loop.start()
    plane = DataPlane(loop.loop, rounds.append)
    plane.show(View(probes=(Probe("one", "127.0.0.1", 1),), interval=0.05))
    plane.start()
    time.sleep(1.1)
    plane.stop()
    loop.stop()
    assert rounds[0] == {"one": ""}
    # 0.2 s of checks, 0.2 s for others; without the pause there would be four rounds.
    assert len(rounds) <= 3
