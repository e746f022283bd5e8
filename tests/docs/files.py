# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the guides begin with: what talosctl made for a cluster, its node configs and a patch."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

# The file names of a reader, by the end of the secret's name that has the same in the sandbox's Vault.
FILES = {
    "machine-controlplane": "controlplane.yaml",
    "machine-cp": "controlplane.yaml",
    "machine-worker": "worker.yaml",
    "node-controlplane": "node-controlplane.yaml",
    "node-cp": "node-controlplane.yaml",
    "node-worker": "node-worker.yaml",
    "patch-worker": "patch-worker.yaml",
    "talosconfig": "talosconfig",
}


def lay_out(secrets: t.Mapping[str, t.Any], home: Path) -> None:
    """Those of barney in the home folder, those of fargle in one of its own."""
    for cluster, folder in (("barney", home), ("fargle", home / "fargle")):
        folder.mkdir(exist_ok=True)
        for name, file in FILES.items():
            if (secret := secrets.get(f"cluster-{cluster}-{name}")) is not None:
                (folder / file).write_text(_document(secret))


def _document(secret: t.Mapping[str, t.Any]) -> str:
    """A secret's only text, or the secret itself; JSON is YAML."""
    texts = list(secret.values())
    return texts[0] if len(texts) == 1 and isinstance(texts[0], str) else json.dumps(secret)
