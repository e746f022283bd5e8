# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloudflare_record's work on the simulated API."""

from __future__ import annotations

import socket
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare.records import RecordOptions, read_options

from tests.sandbox.calls import Ledger
from tests.sandbox.cloudflare import CloudflarePart
from tests.unit.addresses import own_address

HOST = own_address(8)
W1 = {"node": "w1", "name": "w1.example.com", "content": "10.0.0.1"}
MARK = "k8s_cluster.manager cluster=fargle node=w1"


class Lab:
    """A started Cloudflare with a zone example.com that others use too."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        with socket.socket() as found:
            found.bind((HOST, 0))
            port = int(found.getsockname()[1])
        self.part = CloudflarePart(self.ledger, HOST, port=port, plan="pro")
        self.part.add_record("A", "w10.example.com", "10.0.0.10", comment=f"{MARK}0")
        self.part.add_record("A", "my-w1.example.com", "10.0.0.11")
        self.part.add_record("TXT", "w1.example.com", "a note of somebody else")
        self.part.start()

    def records(self) -> dict[str, dict[str, t.Any]]:
        """The zone's records by ID."""
        return {record["id"]: record for record in self.part.dump()["example.com"]["records"]}

    def options(self, *records: dict[str, t.Any], check_mode: bool = False, **changes: t.Any) -> RecordOptions:
        zone = {"zone_id": self.part.zone_id, "domain": None}
        params = {"api_token": self.part.token, **zone, "cluster": "fargle", "records": list(records), "state": "present", **changes}
        return read_options(params, check_mode)
