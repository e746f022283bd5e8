# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted exchange with AWS: real boto3 clients whose calls must come in this order, with these arguments, all of them.

What botocore's Stubber does, across services, and with answers that never come.
"""

from __future__ import annotations

import typing as t

import boto3
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws.clients import Clients
from botocore.awsrequest import AWSResponse
from botocore.validate import validate_parameters

Answer = dict[str, t.Any] | Exception
ANY: t.Any = type("Any", (), {"__eq__": lambda self, other: True, "__repr__": lambda self: "ANY", "__hash__": None})()


class Exchange:
    """expect() and refuse() write the script, clients() plays it, done() says that all of it was played."""

    def __init__(self) -> None:
        self.script: list[tuple[str, t.Any, Answer]] = []
        self.played: list[tuple[str, dict[str, t.Any]]] = []

    def expect(self, operation: str, params: t.Any, answer: Answer) -> Exchange:
        """The next call; answer may be an exception, for an answer that never comes."""
        self.script.append((operation, params, answer))
        return self

    def refuse(self, operation: str, params: t.Any, code: str, message: str = "no") -> Exchange:
        """The next call, answered with an error of AWS."""
        return self.expect(operation, params, {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}})

    def clients(self) -> Clients:
        """Clients that play the script."""
        return Clients(self._client)

    def done(self) -> None:
        """Fail unless every scripted call was made."""
        assert not self.script, f"never called: {[operation for operation, _params, _answer in self.script]}"

    def operations(self) -> list[str]:
        """The calls made so far."""
        return [operation for operation, _params in self.played]

    def _client(self, service: str) -> t.Any:
        client = boto3.client(service, region_name="eu-central-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        client.meta.events.register_first("before-parameter-build.*.*", self._check)
        client.meta.events.register("before-call.*.*", self._answer)
        return client

    def _check(self, params: dict[str, t.Any], model: t.Any, context: dict[str, t.Any], **_kwargs: t.Any) -> None:
        self.played.append((model.name, params))
        if not self.script:
            raise AssertionError(f"nothing more was expected, got {model.name} {params}")
        operation, expected, answer = self.script.pop(0)
        assert model.name == operation, f"expected {operation}, got {model.name} {params}"
        wanted = expected(params) if callable(expected) else expected == params
        assert wanted, f"{operation}: expected {expected}\ngot      {params}"
        context["scripted"] = answer

    def _answer(self, model: t.Any, context: dict[str, t.Any], **_kwargs: t.Any) -> tuple[AWSResponse, dict[str, t.Any]]:
        answer = context["scripted"]
        if isinstance(answer, Exception):
            raise answer
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)
        if status == 200 and model.output_shape is not None:
            validate_parameters({key: value for key, value in answer.items() if key != "ResponseMetadata"}, model.output_shape)
        return AWSResponse("", status, {}, None), {"ResponseMetadata": {"HTTPStatusCode": status}, **answer}


def looks(count: int) -> t.Callable[[float, float], t.Iterator[float]]:
    """A clock that allows so many looks and takes no time."""
    return lambda timeout, interval: iter(range(count))


def tags(**values: str) -> list[dict[str, str]]:
    """Tags the way AWS lists them."""
    return [{"Key": key, "Value": value} for key, value in values.items()]
