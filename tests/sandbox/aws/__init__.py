# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS part of the sandbox: EC2, Elastic Load Balancing v2, Resource Groups Tagging, Price List, STS, IAM and KMS.

moto answers; the classes here make it refuse what the real services refuse and give it time (states that pass,
describes that lag, targets that drain). `AwsPart` is the whole of it. What the sandbox does not know of a service it
refuses with NotImplementedBySandbox, an error that no SDK retries.

Simulated durations (seconds, `Ledger.delays`):

ec2.pending      0.3   a launched or started instance until it runs
ec2.visible      0.1   a launched instance until describes show it
ec2.terminating  0.5   an instance until it is terminated or stopped (its machine goes down at once)
ec2.console      1.5   between two posts of the buffered console output
elb.provision    0.2   a load balancer until it is active
elb.tagged       0.1   a new load balancer or target group until GetResources shows it
elb.initial      0.5   a target until its first health counts
elb.interval     0.25  between two health checks; a target group's thresholds count them
elb.drain        0.5   a deregistered target until it is no longer draining; 0 where the group's deregistration delay is 0
elb.propagate    0.3   a deregistered target until it gets no new connections any more
elb.unlink       0.3   a target group that lost its last listener until it can be deleted
elb.release      0.5   network interfaces of a deleted load balancer, or of a zone it left

What goes wrong beyond single calls (permissions, capacity, impaired instances) is in `world.Conditions`.
"""

from __future__ import annotations

from .part import AwsPart

__all__ = ["AwsPart"]
