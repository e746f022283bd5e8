# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How clients read what AWS answers."""

from __future__ import annotations

import io
import typing as t

import botocore.utils
import pytest
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws import clients
from botocore.awsrequest import AWSResponse

INSTANCE = (
    "<reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><launchTime>2026-11-23T02:03:50.000Z</launchTime></item></instancesSet>"
    "</item></reservationSet>"
)


class Raw(io.BytesIO):
    """A body as urllib3 has it."""

    def stream(self, **_kwargs: t.Any) -> t.Iterator[bytes]:
        yield self.read()


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    """A client of a module's connection, whose server knows one instance."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    monkeypatch.setattr(clients, "get_aws_connection_info", lambda _module: ("eu-central-1", None, dict(keys)))
    client = clients.Connection(t.cast(t.Any, None)).client("ec2")
    body = f"<DescribeInstancesResponse>{INSTANCE}</DescribeInstancesResponse>".encode()
    client.meta.events.register("before-send.*.*", lambda **_kwargs: AWSResponse("", 200, {}, Raw(body)))
    return client


def test_a_time_is_read_without_guessing_its_format(ec2: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.utils, "parse_timestamp", lambda text: pytest.fail(f"guessed {text}"))
    [reservation] = ec2.describe_instances()["Reservations"]
    assert reservation["Instances"][0]["LaunchTime"].isoformat() == "2026-11-23T02:03:50+00:00"


@pytest.mark.parametrize(
    "value",
    [
        *("2026-11-23T02:03:50.000Z", "2026-11-23T02:03:50Z", "2026-11-23T02:03:50.123456+02:00", "2026-11-23T02:03:50.12Z"),
        *("Mon, 23 Nov 2026 02:03:50 GMT", "2026-11-23", "20261123T020350Z", "1795399430", 1795399430, 1795399430.5),
    ],
)
def test_a_time_is_what_botocore_reads(value: t.Any) -> None:
    assert clients._time(value) == botocore.utils.parse_timestamp(value)


def test_what_is_no_time_is_as_wrong_as_to_botocore() -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        clients._time("never, never T at all")
