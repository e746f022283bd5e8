# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""boto3 clients, made when first used."""

from __future__ import annotations

import datetime
import functools
import os
import typing as t

try:
    import boto3
    import botocore
    import botocore.loaders
    import botocore.session
    import botocore.utils
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, NoRegionError
except ImportError:
    pass  # AnsibleAWSModule says so before anything here is used

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info

from .._errors import InputError, ManagerError

if t.TYPE_CHECKING:
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

Client = t.Any

# What botocore reads for every client, and of each service.
MODELS = ("endpoints", "partitions", "sdk-default-configuration", "_retry")
USER_AGENT = "k8s_cluster.manager"

# A session made before the process of this task was forked, for the first to take it.
prepared: list[t.Any] = []


def prepare(services: t.Iterable[str]) -> None:
    """Make a session that knows these services: reading their models is half of what a client takes to make, the session most of the rest.

    Nothing of the user's settings is read: a task may have others, and what is wrong with them is for a task to say.
    """
    loader = botocore.loaders.create_loader(os.environ.get("AWS_DATA_PATH"))
    for name in MODELS:
        loader.load_data(name)
    for service in services:
        loader.load_service_model(service, "endpoint-rule-set-1", api_version=None)
        for operation in loader.load_service_model(service, "service-2", api_version=None)["operations"]:
            # It remembers: a client of EC2 has 800 methods to name.
            botocore.xform_name(operation)
    session = botocore.session.Session()
    session.register_component("data_loader", loader)
    prepared.append(session)


def _time(value: t.Any) -> datetime.datetime:
    """A time as botocore itself reads it. It guesses the format of each text anew: of EC2's, several for each instance, that is a third of the work."""
    if isinstance(value, str) and value[10:11] == "T":
        try:
            return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            pass
    return t.cast(datetime.datetime, botocore.utils.parse_timestamp(value))


class Connection:
    """A module's connection options, with one session for all its clients (the module's own client() makes one for each)."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.region, self._endpoint, self._options = get_aws_connection_info(module)
        self._profile = self._options.pop("profile_name", None)
        self._config: Config = self._options.pop("aws_config", None)

    @functools.cached_property
    def _session(self) -> boto3.session.Session:
        session = prepared.pop() if prepared else botocore.session.Session()
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
        return boto3.session.Session(profile_name=self._profile, botocore_session=session)

    def client(self, service: str, region: str | None = None, **config: t.Any) -> Client:
        """A client; region defaults to the module's, config goes to botocore's Config. Raises InputError without a region."""
        settings = Config(user_agent_extra=USER_AGENT, **config).merge(self._config or Config())
        try:
            return self._session.client(service, region_name=region or self.region, endpoint_url=self._endpoint, config=settings, **self._options)
        except NoRegionError as error:
            raise InputError("region: none was given, in the task, AWS_REGION or the profile") from error
        except (ValueError, BotoCoreError) as error:
            raise ManagerError(f"Cannot connect to AWS: {error}") from error


class Clients:
    """make(service) builds a client; each service's is made once, only if it is needed. boto3 clients may be shared by threads."""

    def __init__(self, make: t.Callable[[str], Client]) -> None:
        self._make = make

    @classmethod
    def of_module(cls, module: AnsibleAWSModule, connections: int = 10) -> Clients:
        """Clients with the module's connection options, good for this many calls at a time."""
        connection = Connection(module)
        return cls(lambda service: connection.client(service, max_pool_connections=max(10, connections)))

    @functools.cached_property
    def ec2(self) -> Client:
        """EC2."""
        return self._make("ec2")

    @functools.cached_property
    def elbv2(self) -> Client:
        """Elastic Load Balancing v2."""
        return self._make("elbv2")

    @functools.cached_property
    def tagging(self) -> Client:
        """Resource Groups Tagging API."""
        return self._make("resourcegroupstaggingapi")

    @functools.cached_property
    def kms(self) -> Client:
        """Key Management Service."""
        return self._make("kms")
