# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What AWS refuses, in the user's words: the call, the code, and for missing permissions the IAM action to grant."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.errors import AWSErrorHandler
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

from .._errors import ManagerError

# No answer came: the call may have been carried out or not.
NO_ANSWER: tuple[type[Exception], ...] = ()
try:
    from botocore import exceptions as botocore_exceptions
except ImportError:
    pass  # AnsibleAWSModule says so before anything here is used
else:
    NO_ANSWER = (botocore_exceptions.ConnectionError, botocore_exceptions.HTTPClientError)

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

DENIED_CODES = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
# Throttling words that AWSRetry does not know by itself.
THROTTLE_CODES = ["RequestThrottled", "RequestThrottledException", "ThrottlingException", "ThrottledException", "TooManyRequests"]


class ApiError(ManagerError):
    """A call to AWS failed. code is AWS' error code, or the exception's name when no answer came at all."""

    iam_prefix = ""

    def __init__(self, message: str, exception: Exception) -> None:
        response: dict[str, t.Any] = getattr(exception, "response", None) or {}
        self.code: str = response.get("Error", {}).get("Code") or type(exception).__name__
        self.aws_message: str = response.get("Error", {}).get("Message") or str(exception)
        self.operation: str = getattr(exception, "operation_name", "")
        self.ambiguous = isinstance(exception, NO_ANSWER)
        call = f"{self.operation}: " if self.operation else ""
        super().__init__(f"{message}: {call}{self.code}: {self.aws_message}{self._cure()}", error={"code": self.code, "operation": self.operation})

    def _cure(self) -> str:
        if self.code in DENIED_CODES:
            named = re.search(r"not authorized to perform:? ([\w-]+:\w+)", self.aws_message)
            return f" (grant the IAM action {named.group(1) if named else f'{self.iam_prefix}:{self.operation}'})"
        if self.code in ("NoCredentialsError", "PartialCredentialsError"):
            return " (set access_key and secret_key, profile, or AWS' own environment variables)"
        return ""


class Ec2Error(ApiError):
    """From EC2."""

    iam_prefix = "ec2"


class ElbError(ApiError):
    """From Elastic Load Balancing v2."""

    iam_prefix = "elasticloadbalancing"


class TaggingError(ApiError):
    """From the Resource Groups Tagging API."""

    iam_prefix = "tag"


class KmsError(ApiError):
    """From the Key Management Service."""

    iam_prefix = "kms"


class PricingError(ApiError):
    """From the Price List API."""

    iam_prefix = "pricing"


class Ec2ErrorHandler(AWSErrorHandler):
    """Decorators for EC2 calls."""

    _CUSTOM_EXCEPTION = Ec2Error

    @classmethod
    def _is_missing(cls) -> type[Exception]:
        return is_boto3_error_code([f"{kind}.{what}" for kind in ("InvalidInstanceID", "InvalidAMIID") for what in ("NotFound", "Malformed", "Unavailable")])


class ElbErrorHandler(AWSErrorHandler):
    """Decorators for ELBv2 calls."""

    _CUSTOM_EXCEPTION = ElbError

    @classmethod
    def _is_missing(cls) -> type[Exception]:
        return is_boto3_error_code(["LoadBalancerNotFound", "TargetGroupNotFound"])


class TaggingErrorHandler(AWSErrorHandler):
    """Decorators for tagging calls."""

    _CUSTOM_EXCEPTION = TaggingError


class KmsErrorHandler(AWSErrorHandler):
    """Decorators for KMS calls."""

    _CUSTOM_EXCEPTION = KmsError


class PricingErrorHandler(AWSErrorHandler):
    """Decorators for Price List calls."""

    _CUSTOM_EXCEPTION = PricingError


def throttled(function: F) -> F:
    """Try again when AWS throttles or has an internal error; about a minute in all, jittered so that concurrent runs spread."""
    return AWSRetry.jittered_backoff(retries=8, delay=1, max_delay=20, catch_extra_error_codes=THROTTLE_CODES)(function)
