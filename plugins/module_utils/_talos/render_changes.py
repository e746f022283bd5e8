# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""What lies between the machine config that a node runs and the one that it should: redacted, and whether it takes a reboot. Pure.

Up to Talos 1.13 a node reboots by itself for what is not on a list (CanApplyImmediate), from 1.14 on never: whoever applies must make it. The list
is of that function, and of the documentation of the releases whose code was not at hand; what neither names is taken to need a reboot.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

from . import documents, emit, redact, table
from .documents import Config, Document
from .patching import Patched
from .render import machine_type, release
from .yamltext import ConfigError

# From this minor release on nodes do not reboot by themselves.
REBOOTS_UNTIL = 13
CONTEXT_LINES = 2

# What of the legacy document is changed in a running node: dotted path to the first minor release that does so.
IMMEDIATE = {
    **dict.fromkeys(("debug", "cluster"), 6),
    **{f"machine.{name}": 6 for name in ("time", "certSANs", "install", "network", "sysfs", "sysctls", "logging", "controlPlane", "kubelet", "kernel")},
    **{f"machine.{name}": 6 for name in ("registries", "pods", "seccompProfiles", "nodeLabels")},
    **{f"machine.{name}": 7 for name in ("ca", "acceptedCAs", "nodeTaints")},
    "machine.nodeAnnotations": 10,
    "machine.features.kubernetesTalosAPIAccess": 6,
    **{f"machine.features.{name}": 7 for name in ("kubePrism", "hostDNS")},
    **{f"machine.features.{name}": 10 for name in ("imageCache", "nodeAddressSortAlgorithm")},
}
# Documents that are new in 1.14 and stand for such parts. For older kinds no release has ever rebooted.
IMMEDIATE_KINDS = re.compile(r"Kube.*|Discovery.*|(Sysctl|Sysfs|KernelModule|UnattendedInstall|ImageCache)Config")


@dataclasses.dataclass(frozen=True)
class Change:
    """What is to change. needs_reboot, and why: the paths that do. renames: paths that would make another node of it. before, after: redacted configs."""

    needs_reboot: bool
    why: tuple[str, ...] = ()
    renames: tuple[str, ...] = ()
    before: str = ""
    after: str = ""

    @property
    def diff(self) -> str:
        """A unified diff, secrets replaced; "" when nothing differs."""
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), "running", "rendered", n=CONTEXT_LINES, lineterm="")
        return "\n".join(lines)


def same_config(wanted: str, active: str, version: str) -> bool:
    """Whether two configs say the same, whatever their order of keys and documents, comments and style."""
    if wanted == active:
        return True
    minor, _version = release([], version)
    try:
        return _printed(documents.load(wanted, minor), minor) == _printed(documents.load(active, minor), minor)
    except ConfigError:
        # What this release cannot read is not what it would write.
        return False


def _printed(config: Config, minor: int) -> dict[tuple[str, str], str]:
    """A config's documents by kind and name, each as Talos itself would print it."""
    return {document.identity: Patched(minor, config=Config((document,))).text() for document in config.documents}


def change(running: str, wanted: str, version: str) -> Change:
    """What takes a node of this Talos version (v1.13.9) from one config to the other. A config that the version cannot read takes a reboot."""
    minor, _version = release([], version)
    try:
        old, new = documents.load(running, minor), documents.load(wanted, minor)
    except ConfigError as error:
        return Change(True, (f"it cannot be compared as a config of Talos {version}: {redact.scrub(str(error))}",))
    why = [*_legacy(old, new, minor), *(_documents(old, new, minor) if minor > REBOOTS_UNTIL else ())]
    return Change(bool(why), tuple(why), tuple(_renames(old, new)), _shown(old, old, minor), _shown(new, old, minor))


def _legacy(old: Config, new: Config, minor: int) -> list[str]:
    """The paths of the legacy document whose change takes a reboot. Sections count as a whole where one of the configs does not have them."""
    pairs = _pairs(_tree(old, minor), _tree(new, minor), "", ("machine", "machine.features"))
    return [path for path, before, after in pairs if before != after and IMMEDIATE.get(path, table.ALWAYS) > minor]


def _tree(config: Config, minor: int) -> dict[str, t.Any]:
    """The legacy document as plain data, as it is printed."""
    found = config.all(table.LEGACY)
    return t.cast("dict[str, t.Any]", emit.tree(found[0].value, found[0].kind.root, minor)) if found else {}


def _pairs(old: dict[str, t.Any], new: dict[str, t.Any], prefix: str, opened: t.Collection[str]) -> t.Iterator[tuple[str, t.Any, t.Any]]:
    """(path, old value, new value) of all keys of both, within the sections in opened of what is in them."""
    for key in dict.fromkeys([*old, *new]):
        path, before, after = f"{prefix}{key}", old.get(key), new.get(key)
        if path in opened and isinstance(before, dict) and isinstance(after, dict):
            yield from _pairs(before, after, f"{path}.", opened)
        else:
            yield path, before, after


def _documents(old: Config, new: Config, minor: int) -> list[str]:
    """The documents beside the legacy one whose change may take a reboot."""
    before, after = _printed(old, minor), _printed(new, minor)
    titles = {document.identity: document.title for document in (*old.documents, *new.documents) if _is_doubtful(document)}
    return [title for identity, title in titles.items() if before.get(identity) != after.get(identity)]


def _is_doubtful(document: Document) -> bool:
    return document.kind.since > REBOOTS_UNTIL and not IMMEDIATE_KINDS.fullmatch(document.kind.kind)


def _renames(old: Config, new: Config) -> list[str]:
    """What would give the node another name, or make it another kind of node."""
    mine, theirs = _identity(old), _identity(new)
    return [path for path in mine if mine[path] != theirs[path]]


def _identity(config: Config) -> dict[str, t.Any]:
    legacy = config.get(table.LEGACY) or {}
    machine = legacy.get("machine") or {}
    kubelet = machine.get("kubelet") or config.get("KubeletConfig") or {}
    fqdn = (machine.get("kubelet") or {}).get("registerWithFQDN") or (config.get("KubeNodeConfig") or {}).get("registerWithFQDN")
    hostname = (config.get("HostnameConfig") or {}).get("hostname") or (machine.get("network") or {}).get("hostname")
    return {
        "machine.type": machine_type(config),
        "hostname": hostname or "",
        "registerWithFQDN": bool(fqdn),
        "kubelet.extraArgs.hostname-override": str((kubelet.get("extraArgs") or {}).get("hostname-override") or ""),
    }


def _shown(config: Config, order: Config, minor: int) -> str:
    """A config without its secrets, its documents in the order of another one's, so that only differences differ."""
    places = {document.identity: place for place, document in enumerate(order.documents)}
    ordered = sorted(config.documents, key=lambda document: places.get(document.identity, len(places)))
    return redact.printer(minor).config(Config(tuple(ordered)))
