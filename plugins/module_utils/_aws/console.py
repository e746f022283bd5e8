# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The serial console of a VM: what it printed reaches us through AWS, not through the network it is on."""

from __future__ import annotations

import typing as t

try:  # noqa: SIM105 - the form that ansible-test knows
    import botocore.exceptions
except ImportError:
    # AnsibleAWSModule reports it.
    pass

from .._errors import ManagerError

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
        cure = "; allow ec2:GetConsoleOutput, or choose another identity_check" if code in _DENIED else ""
        raise ManagerError(f"cannot read the console of {instance_id}: {code}{cure}") from None
    except botocore.exceptions.BotoCoreError as error:
        raise ManagerError(f"cannot read the console of {instance_id}: {error}") from None
    return str(reply.get("Output") or "")
