# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that are looked for in all that runs print."""

from __future__ import annotations

import json
import typing as t
import urllib.request

from tests.integration.test_secrets import ENVIRONMENT, PATCH, canaries
from tests.sandbox.fixture import RunningSandbox

CANARY = "canary-Aws-kT7wQ29xLsVbN4rE"


def store(env: t.Mapping[str, str], name: str, data: t.Mapping[str, t.Any]) -> None:
    """Put a secret into the sandbox's Vault."""
    url, headers = f"{env['VAULT_ADDR']}/v1/secret/data/{name}", {"X-Vault-Token": env["VAULT_TOKEN"]}
    request = urllib.request.Request(url, data=json.dumps({"data": data}).encode(), method="POST", headers=headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
        pass


def plant(cloud: RunningSandbox) -> dict[str, str]:
    """Put canaries into the patches of fargle; every secret there is, by where it is."""
    for role in ("worker", "controlplane"):
        store(cloud.env, f"cluster-fargle-patch-{role}", {"patch.yaml": json.dumps(PATCH)})
    environment = {**cloud.env, "AWS_SECRET_ACCESS_KEY": CANARY}
    return {**canaries(cloud.control.look()), **{name: environment[name] for name in ENVIRONMENT}}
