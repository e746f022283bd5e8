# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What AWS itself knows of a VM, not through the network it is on: what its serial console printed, and whether it is broken."""

from __future__ import annotations

import typing as t

try:
    import boto3
    import botocore.exceptions

    HAS_BOTO3 = bool(boto3)
except ImportError:
    HAS_BOTO3 = False

from ansible.module_utils.basic import missing_required_lib

from .._errors import ManagerError
from . import waits
from .clients import Clients

if t.TYPE_CHECKING:
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

# Only Nitro instances can give the current console; the others give a copy that AWS made minutes ago.
_NO_LATEST = ("UnsupportedOperation", "InvalidParameterValue", "InvalidParameterCombination")
_DENIED = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
_NOT_YET = ("InvalidInstanceID.NotFound", "RequestLimitExceeded", "Throttling", "InternalError", "Unavailable", "ServiceUnavailable")


def console_output(ec2: t.Any, instance_id: str) -> str:
    """The text that a VM's console shows, "" while there is none. ec2: a boto3 EC2 client.

    Raises ManagerError when it may not be read at all.
    """
    try:
        try:
            reply = ec2.get_console_output(InstanceId=instance_id, Latest=True)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in _NO_LATEST:
                raise
            reply = ec2.get_console_output(InstanceId=instance_id)
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _NOT_YET:
            return ""
        raise _unreadable(instance_id, code) from None
    except botocore.exceptions.BotoCoreError as error:
        raise ManagerError(f"cannot read the console of {instance_id}: {error}") from None
    return str(reply.get("Output") or "")


def _unreadable(instance_id: str, code: str) -> ManagerError:
    cure = "; allow ec2:GetConsoleOutput, or choose another identity_check" if code in _DENIED else ""
    return ManagerError(f"cannot read the console of {instance_id}: {code}{cure}")


def console_permission(ec2: t.Any, instance_id: str) -> None:
    """Raise ManagerError when the console of a VM may not be read; nothing is read, and any other trouble is none of the permission's."""
    try:
        ec2.get_console_output(InstanceId=instance_id, DryRun=True)
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _DENIED:
            raise _unreadable(instance_id, code) from None
    except botocore.exceptions.BotoCoreError:
        pass


def console_reader(module: AnsibleAWSModule, calls: int) -> t.Callable[[str], str]:
    """console_output with the module's connection options, good for this many calls at a time."""
    ec2 = _client(module, calls)
    return lambda instance_id: console_output(ec2, instance_id)


def check_permission(module: AnsibleAWSModule, instance_id: str) -> None:
    """console_permission with the module's connection options."""
    console_permission(_client(module, 1), instance_id)


def name_broken(module: AnsibleAWSModule, failures: dict[str, str]) -> None:
    """Add to the failures (by node name) what EC2's own checks say of the VMs: they are made minutes after a launch, when that has long succeeded."""
    ids = {node["name"]: node["instance_id"] for node in module.params["nodes"] if node["name"] in failures and node["instance_id"]}
    try:
        broken = waits.impaired(_client(module, 1), ids) if ids else {}
    except ManagerError:
        return  # who may not ask has the failures as they are
    for name, text in broken.items():
        failures[name] += f"; {text}"


def _client(module: AnsibleAWSModule, calls: int) -> t.Any:
    if not HAS_BOTO3:
        raise ManagerError(f"{missing_required_lib('boto3')} It reads the consoles; another identity_check does without")
    return Clients.of_module(module, calls).ec2
