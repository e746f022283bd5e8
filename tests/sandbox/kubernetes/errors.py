# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server's refusals, as Status objects with its own codes, reasons and sentences.

Sources: k8s.io/apimachinery/pkg/api/errors and k8s.io/apiserver/pkg/registry/rest of Kubernetes 1.34.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .resources import Resource


class ApiError(Exception):
    """An answer other than success: HTTP code, Status reason, sentence, details, and headers such as Retry-After."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, t.Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def status(self) -> dict[str, t.Any]:
        """The Status object a client gets."""
        body: dict[str, t.Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message, "code": self.code}
        if self.reason:
            body["reason"] = self.reason
        if self.details:
            body["details"] = self.details
        return body

    def headers(self) -> dict[str, str]:
        """Retry-After is sent only when the details name seconds above zero."""
        seconds = self.details.get("retryAfterSeconds", 0)
        return {"Retry-After": str(seconds)} if seconds else {}


@dataclasses.dataclass(frozen=True)
class Cause:
    """One thing wrong with one field; the reason is the API's FieldValue... word."""

    field: str
    reason: str
    message: str

    def public(self) -> dict[str, str]:
        """As in details.causes."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


def invalid_value(field: str, value: object, why: str) -> Cause:
    """A value that does not fit its rule."""
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(field, "FieldValueInvalid", f"Invalid value: {shown}: {why}")


def required(field: str, why: str = "") -> Cause:
    """A field that must be set."""
    return Cause(field, "FieldValueRequired", "Required value" + (f": {why}" if why else ""))


def forbidden_field(field: str, why: str) -> Cause:
    """A field that may not be set or changed."""
    return Cause(field, "FieldValueForbidden", f"Forbidden: {why}")


def unsupported(field: str, value: str, supported: t.Sequence[str]) -> Cause:
    """A word outside the known set."""
    words = ", ".join(f'"{word}"' for word in supported)
    return Cause(field, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {words}')


def _details(resource: Resource, name: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {"name": name, "kind": resource.plural}
    if resource.group:
        found["group"] = resource.group
    return found


def not_found(resource: Resource, name: str) -> ApiError:
    """No object of that name."""
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    """An object of that name exists."""
    return ApiError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _details(resource, name))


def conflict(resource: Resource, name: str, why: str, what: str = "") -> ApiError:
    """A stale or failed precondition; `what` replaces the resource's name (deletions say the kind)."""
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {what or resource.qualified} "{name}": {why}', _details(resource, name))


def invalid(kind: str, group: str, name: str, causes: t.Sequence[Cause]) -> ApiError:
    """422 with every cause."""
    said = [f"{cause.field}: {cause.message}" for cause in causes]
    sentence = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    qualified = f"{kind}.{group}" if group else kind
    details: dict[str, t.Any] = {"name": name, "kind": kind, "causes": [cause.public() for cause in causes]}
    if group:
        details["group"] = group
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {sentence}', details)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def forbidden(user: str, verb: str, resource: Resource, subresource: str, namespace: str, name: str) -> ApiError:
    """403 in the authorizer's words."""
    plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    message = f'{subject} is forbidden: User "{user}" cannot {verb} resource "{plural}" in API group "{resource.group}" {where}'
    return ApiError(403, "Forbidden", message, _details(resource, name))


def unauthorized() -> ApiError:
    """401: no or unknown credentials."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def path_not_found() -> ApiError:
    """404 for a path that is no resource."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> ApiError:
    """405 for a verb the resource does not have."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def unsupported_media_type(given: str, accepted: t.Sequence[str]) -> ApiError:
    """415 for a patch or body in a language the server does not read."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", message, {"causes": [{"message": given}]} if given else None)


def budget_exceeded(message: str, retry_after: int) -> ApiError:
    """429 of an eviction; the cause names the budget."""
    details: dict[str, t.Any] = {"causes": [{"reason": "DisruptionBudget", "message": message}]}
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    return ApiError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", details)


def expired_continue() -> ApiError:
    """410 for a continue token older than the last compaction."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, "
        "or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an "
        "inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    return ApiError(410, "Expired", message)


def too_old(given: int, oldest: int) -> ApiError:
    """410 for a watch that starts before what the server still remembers."""
    return ApiError(410, "Expired", f"too old resource version: {given} ({oldest})")
