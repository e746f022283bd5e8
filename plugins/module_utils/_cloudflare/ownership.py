# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Whose record is it: the mark in a record's comment.

The mark is `k8s_cluster.manager cluster=<cluster> node=<node>`. Cloudflare's free plan allows 100 characters in a comment, so a name
that would not fit is replaced by ~ and the first 16 hex digits of its SHA-256, always the same for the same name.
"""

from __future__ import annotations

import hashlib
import re

OWNER = "k8s_cluster.manager"
LONGEST_COMMENT = 100
LONGEST_CLUSTER = 40

_MARK = re.compile(rf"{re.escape(OWNER)} cluster=(\S+) node=(\S+)\Z")


def mark(cluster: str, node: str) -> str:
    """The comment of a record that belongs to a node of a cluster."""
    start = f"{cluster_mark(cluster)} node="
    return start + (node if len(start) + len(node) <= LONGEST_COMMENT else _short(node))


def cluster_mark(cluster: str) -> str:
    """How the comments of all records of a cluster begin; also those of clusters whose name begins like it."""
    return f"{OWNER} cluster={cluster if len(cluster) <= LONGEST_CLUSTER else _short(cluster)}"


def is_marked_for(comment: str, cluster: str) -> bool:
    """Whether a comment is the mark of some node of exactly this cluster."""
    found = _MARK.match(comment)
    return found is not None and f"{OWNER} cluster={found.group(1)}" == cluster_mark(cluster)


def owner(comment: str) -> tuple[str, str]:
    """Cluster and node that a comment names, two empty strings when it is no mark. A name that did not fit comes as ~digits."""
    found = _MARK.match(comment)
    return (found.group(1), found.group(2)) if found else ("", "")


def _short(name: str) -> str:
    return "~" + hashlib.sha256(name.encode()).hexdigest()[:16]
