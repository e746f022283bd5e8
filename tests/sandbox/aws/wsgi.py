# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP endpoint for all AWS services, as AWS_ENDPOINT_URL wants it: requests are told apart by their signature.

Every call is logged, delayed and faulted by LedgerMiddleware; this module knows the protocols: which operation a
request is, and how each service says that it throttles, breaks or denies.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import re
import typing as t
import uuid
from xml.sax.saxutils import escape

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request as MotoRequest
from moto.core.request import determine_request_protocol
from moto.core.utils import get_service_model
from werkzeug.wrappers import Request, Response

from ..http import LedgerMiddleware, Operation

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .part import AwsPart

LOG = logging.getLogger(__name__)
CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
READ_ONLY = ("Describe", "Get", "List", "Lookup", "Search", "Decode")
# Values of parameters that may hold secrets: they stay out of the call log.
SECRET = ("UserData",)


@dataclasses.dataclass(frozen=True)
class Service:
    """One AWS service. refusals: kind -> (HTTP status, error code, message), in the service's own words."""

    name: str
    botocore: str
    responses: str
    refusals: dict[str, tuple[int, str, str]]

    def handler(self) -> t.Any:
        """The response class; services that a run never calls are never imported."""
        module, name = self.responses.split(":")
        return getattr(importlib.import_module(module), name)


_QUERY = {
    "throttle": (400, "Throttling", "Rate exceeded"),
    "error": (500, "InternalFailure", "The request processing has failed because of an unknown error, exception or failure."),
    "denied": (403, "AccessDenied", "User is not authorized to perform this action"),
}
SERVICES = {
    "ec2": Service(
        "ec2",
        "ec2",
        f"{__package__}.ec2:StrictEC2Response",
        {
            "throttle": (503, "RequestLimitExceeded", "Request limit exceeded."),
            "error": (500, "InternalError", "An internal error has occurred"),
            "denied": (403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
        },
    ),
    "elasticloadbalancing": Service("elbv2", "elbv2", f"{__package__}.elbv2:StrictELBv2Response", _QUERY),
    "tagging": Service(
        "tagging",
        "resourcegroupstaggingapi",
        f"{__package__}.tagging:StrictTaggingResponse",
        {
            "throttle": (400, "ThrottledException", "The request was denied to limit the frequency of submitted requests."),
            "error": (500, "InternalServiceException", "The request processing failed because of an unknown error, exception, or failure."),
            "denied": (400, "AccessDeniedException", "User is not authorized to perform this action"),
        },
    ),
    "sts": Service("sts", "sts", "moto.sts.responses:TokenResponse", _QUERY),
    "iam": Service("iam", "iam", "moto.iam.responses:IamResponse", _QUERY),
    "kms": Service(
        "kms",
        "kms",
        "moto.kms.responses:KmsResponse",
        {
            "throttle": (400, "ThrottlingException", "Rate exceeded"),
            "error": (500, "KMSInternalException", "An internal error occurred."),
            "denied": (400, "AccessDeniedException", "User is not authorized to perform this action"),
        },
    ),
    "pricing": Service(
        "pricing",
        "pricing",
        f"{__package__}.pricing:StrictPricingResponse",
        {
            "throttle": (400, "ThrottlingException", "Rate exceeded"),
            "error": (500, "InternalErrorException", "An error on the server occurred during the processing of your request. Try again later."),
            "denied": (400, "AccessDeniedException", "User is not authorized to perform: pricing:GetProducts"),
        },
    ),
}


def error_response(service: Service, status: int, code: str, message: str) -> Response:
    """An error in the protocol of the service."""
    request_id = str(uuid.uuid4())
    if service.botocore in ("resourcegroupstaggingapi", "kms", "pricing"):
        body = json.dumps({"__type": code, "message": message})
        return Response(body, status, {"x-amzn-RequestId": request_id}, mimetype="application/x-amz-json-1.1")
    detail = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if service.botocore == "ec2":
        body = f"<Response><Errors><Error>{detail}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    else:
        kind = "Sender" if status < 500 else "Receiver"
        body = f"<ErrorResponse><Error><Type>{kind}</Type>{detail}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    return Response(body, status, {"x-amzn-RequestId": request_id}, mimetype="text/xml")


def _action(request: Request) -> str:
    target = request.headers.get("X-Amz-Target", "")
    return target.rsplit(".", 1)[-1] if target else str(request.values.get("Action", ""))


def _parameters(service: Service, request: Request, action: str) -> dict[str, t.Any]:
    """The parameters of a request as boto3 names and nests them; {} if the service has no such operation."""
    model = get_service_model(service.botocore)
    if action not in model.operation_names:
        return {}
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](model.operation_model(action))
    raw: t.Any = {"method": request.method, "values": request.values, "headers": request.headers, "body": request.get_data()}
    raw.update({"url_path": request.path, "url_params": {}})
    return dict(parser.parse(raw) or {})


class _Endpoint:
    """The application behind the ledger for one service: permissions, then moto, under the sandbox's lock."""

    def __init__(self, part: AwsPart, service: Service) -> None:
        self.part = part
        self.service = service

    def classify(self, request: Request) -> Operation:
        action = _action(request)
        parameters = _parameters(self.service, request, action)
        dry = parameters.pop("DryRun", False) is True
        detail = {name: value for name, value in parameters.items() if name not in SECRET}
        if dry:
            detail["dry_run"] = True
        return Operation(action or "?", mutating=not dry and not action.startswith(READ_ONLY), detail=detail)

    def refuse(self, kind: str, _request: Request | None = None) -> Response:
        return error_response(self.service, *self.service.refusals[kind])

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        action = _action(Request(dict(environ)))
        environ["wsgi.input"].seek(0)
        with self.part.lock:
            self.part.advance()
            response = self._answer(environ, action)
        self.part.wake()
        return response(environ, start_response)

    def _answer(self, environ: WSGIEnvironment, action: str) -> Response:
        if self.part.conditions.denies(action):
            return self.refuse("denied")
        if action not in get_service_model(self.service.botocore).operation_names:
            return error_response(self.service, 400, "InvalidAction", f"The action {action} is not valid for this web service.")
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self.part.account
        try:
            status, headers, body = self.service.handler().dispatch(MotoRequest(environ))
        except NotImplementedError as error:
            # Loud, and nothing that an SDK would retry: the sandbox lacks something, the caller is not at fault.
            return error_response(self.service, 400, "NotImplementedBySandbox", str(error))
        except Exception as error:
            LOG.exception("%s %s failed", self.service.name, action)
            return error_response(self.service, 500, self.service.refusals["error"][1], f"bug in the sandbox: {error!r}")
        headers = {name: value for name, value in headers.items() if name.lower() not in ("status", "content-length")}
        return Response(body, status, headers)


class AwsApp:
    """The WSGI application: finds the service by the request's SigV4 credential scope."""

    def __init__(self, part: AwsPart) -> None:
        self._apps: dict[str, WSGIApplication] = {}
        for name, service in SERVICES.items():
            endpoint = _Endpoint(part, service)
            self._apps[name] = LedgerMiddleware(endpoint, part.ledger, service.name, endpoint.classify, endpoint.refuse)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        match = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if match is None:
            return error_response(SERVICES["ec2"], 403, "MissingAuthenticationToken", "Request is missing Authentication Token")(environ, start_response)
        app = self._apps.get(match["service"])
        if app is None:
            message = f"The sandbox has no AWS service {match['service']!r}"
            return error_response(SERVICES["sts"], 404, "UnknownService", message)(environ, start_response)
        return app(environ, start_response)
