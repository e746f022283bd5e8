# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment by which a shell, or a test, uses a sandbox: written by the sandbox, read back by the fixture."""

from __future__ import annotations

import os
import shlex
import typing as t

# Settings of the caller that would lead a client elsewhere.
UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "VAULT_NAMESPACE", "KUBECONFIG", "TALOSCONFIG")


def lines(exports: t.Mapping[str, str]) -> str:
    """Shell lines that set exports; PATH goes in front of the caller's."""
    text = [f"unset {' '.join(UNSET)}"]
    for name, value in exports.items():
        text.append(f"export {name}={shlex.quote(value)}" + (':"$PATH"' if name == "PATH" else ""))
    return "\n".join(text) + "\n"


def read(text: t.Iterable[str]) -> dict[str, str]:
    """The exports in shell lines."""
    found: dict[str, str] = {}
    for line in text:
        words = shlex.split(line, comments=True)
        if words[:1] == ["export"]:
            name, _equals, value = words[1].partition("=")
            found[name] = value.removesuffix(":$PATH")
    return found


def environment(exports: t.Mapping[str, str], base: t.Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a shell with the environment base passes on once it has read the lines."""
    inherited = {name: value for name, value in base.items() if name not in UNSET}
    return {**inherited, **exports, "PATH": exports["PATH"] + os.pathsep + inherited.get("PATH", os.defpath)}
