# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's Talos client against a server on Talos' own API package. What went over the wire is compared with what is frozen
beside the unit tests, which replay it without Go; `--record` freezes it anew."""

from __future__ import annotations

import asyncio
import json
import ssl
import typing as t
from pathlib import Path

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import client as talos
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos import tls
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.talosconfig import Endpoint
from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.transport import Connection, TalosError

from tests.sandbox import pki
from tests.unit.sandbox.talos_kit import PREFIX

from .cases import CASES, CONFIG, Case, plain
from .referee import Program, Score, program

FROZEN = Path(__file__).resolve().parents[1] / "unit" / "sandbox" / "fixtures" / "talos_exchanges.jsonl"
PORT = 50010
NODE = "10.0.0.9"


async def call(case: Case, endpoint: Endpoint, context: ssl.SSLContext, node: str | None = None) -> tuple[t.Any, str]:
    """The client function's result as plain data, and the code of its error."""
    async with Connection(endpoint, context, node) as connection:
        try:
            return plain(await getattr(talos, case.function)(connection, *case.arguments)), ""
        except TalosError as error:
            return None, error.code


def _exchange(go: Program, score: Score, case: Case, endpoint: Endpoint, context: ssl.SSLContext) -> dict[str, t.Any]:
    """One call, judged from both ends; the line to freeze."""
    result, code = asyncio.run(call(case, endpoint, context, NODE))
    heard = go.hear()
    name = f"{case.function}{case.arguments if len(str(case.arguments)) < 40 else ''}"
    score.compare(f"{name}: what Talos' server reads", (heard["method"], heard["decoded"], heard["node"]), (case.method, case.decoded, [NODE]))
    score.compare(f"{name}: what the client makes of the answer", (result, code), (case.result, case.code))
    return {key: heard[key] for key in ("method", "request", "reply", "code", "text")}


def judge(score: Score, *, record: bool) -> None:
    """All cases over mutual TLS, and the certificates that either side refuses."""
    cluster, other = pki.talos_pki(), pki.talos_pki()
    pair = pki.issue(cluster.ca, common_name="cp-1", addresses=[f"{PREFIX}.9.1"], server=True)
    endpoint = Endpoint(f"{PREFIX}.9.1", PORT)
    key = pki.usable_key(cluster.admin.key)
    with program("server") as go:
        settings = {"address": f"{endpoint.host}:{PORT}", "crt": pair.crt, "key": pki.usable_key(pair.key), "client_ca": cluster.ca.crt, "config": CONFIG}
        go.ask(**settings)
        good = tls.verified_context(cluster.ca.crt, cluster.admin.crt, key)
        lines = [_exchange(go, score, case, endpoint, good) for case in CASES]
        # grpc-go closes the connection with our request unread: the reset may overtake the alert that says why.
        refused = ("CLIENT_REFUSED", "LOST")
        refusals = {
            "no certificate": (tls.verified_context(cluster.ca.crt), refused),
            "another CA's certificate": (tls.verified_context(cluster.ca.crt, other.admin.crt, pki.usable_key(other.admin.key)), refused),
            "another CA trusted": (tls.verified_context(other.ca.crt, cluster.admin.crt, key), ("UNTRUSTED",)),
            "no fingerprint to trust": (tls.unverified_context(), ("UNTRUSTED",)),
        }
        for name, (context, codes) in refusals.items():
            code = asyncio.run(call(CASES[0], endpoint, context))[1]
            score.compare(name, code if code not in codes else codes, codes)
    text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
    if record:
        FROZEN.parent.mkdir(exist_ok=True)
        FROZEN.write_text(text)
    score.compare("the frozen exchanges", FROZEN.read_text(), text)
