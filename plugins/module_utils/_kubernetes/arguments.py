# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The options that all Kubernetes modules share (documented in doc_fragments/kubernetes.py), and what is made of them."""

from __future__ import annotations

import contextlib
import typing as t

from .client import Api, connect
from .from_talos import access
from .kubeconfig import read

# One of these says where the cluster is; for AnsibleModule's required_one_of and mutually_exclusive.
SOURCES = [("kubeconfig", "talosconfig")]


def connection_arguments() -> dict[str, dict[str, t.Any]]:
    """Where the cluster is and who we are there."""
    return {
        "kubeconfig": {"type": "str", "no_log": True},
        "talosconfig": {"type": "str", "no_log": True},
        "endpoints": {"type": "list", "elements": "str", "default": []},
        "cluster": {"type": "str"},
        "context": {"type": "str"},
        "server": {"type": "str"},
    }


def node_arguments(**more: dict[str, t.Any]) -> dict[str, t.Any]:
    """The nodes option; more are further keys of a node."""
    keys = {
        "name": {"type": "str", "required": True},
        "address": {"type": "str"},
        "hostname": {"type": "str"},
        "provider_id": {"type": "str", "aliases": ["instance_id"]},
    }
    return {"type": "list", "elements": "dict", "required": True, "options": {**keys, **more}}


@contextlib.contextmanager
def api_for(params: t.Mapping[str, t.Any], connections: int = 1) -> t.Iterator[Api]:
    """The API that a module's options lead to, with a pool of connections for calls from so many threads."""
    if params["talosconfig"]:
        found = access(params)
    else:
        found = read(params["kubeconfig"], params["cluster"] or "", params["context"] or "", params["server"] or "")
    with connect(found, connections) as api:
        yield api
