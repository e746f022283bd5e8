# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""A node's hostname, labels and taints, put where the config's own style has them: legacy sections or documents, never both."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from . import table
from .documents import Config, Document, legacy_first
from .yamltext import ConfigError

HOSTNAME_DOCUMENTS = 12
NODE_DOCUMENTS = 14

LEGACY_STYLE = "legacy"
DOCUMENT_STYLE = "documents"

# Sections of the legacy document that a KubeNodeConfig document may not stand beside.
NODE_SECTIONS = ("nodeLabels", "nodeAnnotations", "nodeTaints")

# Labels a kubelet may give its own node although their domain is Kubernetes' (NodeRestriction admission).
SELF_LABEL_DOMAINS = re.compile(r"(?:.*\.)?(?:kubelet|node)\.kubernetes\.io")
SELF_LABELS = frozenset(
    [
        "kubernetes.io/hostname",
        "kubernetes.io/instance-type",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
    ]
)
LONGEST_NAME = 253
NAME_PART = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOSTNAME = re.compile(rf"{NAME_PART}(?:\.{NAME_PART})*")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclasses.dataclass(frozen=True)
class Taint:
    """A taint; value may be ""."""

    key: str
    value: str
    effect: str


def hostname_style(config: Config, minor: int) -> str:
    """Where a hostname belongs: a HostnameConfig document, or machine.network.hostname."""
    if config.get("HostnameConfig") is not None:
        return DOCUMENT_STYLE
    machine = _machine(config)
    named = (machine.get("network") or {}).get("hostname") or (machine.get("features") or {}).get("stableHostname") is not None
    if config.get(table.LEGACY) is None or (minor >= HOSTNAME_DOCUMENTS and not named):
        return DOCUMENT_STYLE
    return LEGACY_STYLE


def node_style(config: Config, minor: int, kind: str = "KubeNodeConfig") -> str:
    """Where labels and taints belong: a KubeNodeConfig document, or machine.nodeLabels and nodeTaints.

    The same for the kubelet's arguments and configuration, which have a document of their own (KubeletConfig) or machine.kubelet.
    """
    if config.get(kind) is not None:
        return DOCUMENT_STYLE
    if config.get(table.LEGACY) is None and minor >= NODE_DOCUMENTS:
        return DOCUMENT_STYLE
    return LEGACY_STYLE


def style(config: Config) -> str:
    """What the config as a whole looks like: "legacy" (one document), "documents" (no legacy one), or "mixed"."""
    if config.get(table.LEGACY) is None:
        return DOCUMENT_STYLE
    return LEGACY_STYLE if len(config.documents) == 1 else "mixed"


def hostname(config: Config, name: str, minor: int) -> Config:
    """The config with a static hostname. Raises ConfigError for what no Kubernetes node can be called, which Talos finds out after the reboot."""
    if len(name) > LONGEST_NAME or not HOSTNAME.fullmatch(name):
        raise ConfigError(
            f"hostname: {name!r} is no host name: at most {LONGEST_NAME} characters, in parts of at most 63 letters, digits and hyphens "
            "(not at either end), joined by dots"
        )
    if hostname_style(config, minor) == LEGACY_STYLE:
        return _in_legacy(config, ("machine", "network"), {"hostname": name})
    return _in_document(config, "HostnameConfig", {"auto": "off", "hostname": name})


def labels(config: Config, wanted: t.Mapping[str, str], minor: int, control_plane: bool) -> Config:
    """The config with node labels. Raises ConfigError for labels that Kubernetes lets no worker give itself.

    Talos sets its own labels once the node has registered, when pods may have landed already. So workers' kubelets register with them too.
    Control planes' labels may be of a kind that no kubelet may register with, and keep pods away by their taint.
    """
    if not wanted:
        return config
    refused = [key for key in wanted if not control_plane and not _may_label_itself(key)]
    if refused:
        raise ConfigError(
            f"label {', '.join(sorted(refused))}: Kubernetes (NodeRestriction) does not let a worker give itself labels of this domain; "
            "use a domain of your own or node.kubernetes.io"
        )
    legacy = node_style(config, minor) == LEGACY_STYLE
    if not control_plane:
        config = _registered_labels(config, wanted, node_style(config, minor, "KubeletConfig") == LEGACY_STYLE)
    if legacy:
        return _in_legacy(config, ("machine", "nodeLabels"), dict(wanted))
    return _in_document(config, "KubeNodeConfig", {}, ("labels", dict(wanted)))


def _registered_labels(config: Config, wanted: t.Mapping[str, str], legacy: bool) -> Config:
    """The config with labels among those that the kubelet registers with; others given there stay."""
    arguments = ((_machine(config).get("kubelet") or {}) if legacy else (config.get("KubeletConfig") or {})).get("extraArgs") or {}
    known = arguments.get("node-labels") or ""
    words = [word for word in ",".join(known if isinstance(known, list) else [str(known)]).split(",") if word]
    kept = [word for word in words if word.partition("=")[0] not in wanted]
    entry = {"node-labels": ",".join(kept + [f"{key}={value}" for key, value in wanted.items()])}
    return _in_legacy(config, ("machine", "kubelet", "extraArgs"), entry) if legacy else _in_document(config, "KubeletConfig", {}, ("extraArgs", entry))


def _may_label_itself(key: str) -> bool:
    domain = key.partition("/")[0] if "/" in key else ""
    reserved = re.fullmatch(r"(?:.*\.)?(?:kubernetes|k8s)\.io", domain) is not None
    return not reserved or key in SELF_LABELS or SELF_LABEL_DOMAINS.fullmatch(domain) is not None


def taints(config: Config, wanted: t.Sequence[Taint], minor: int, control_plane: bool) -> Config:
    """The config with node taints.

    Workers register with them (kubelet's registerWithTaints): no pod lands before, and NodeRestriction refuses machine.nodeTaints on
    workers, which Talos applies after registration with the kubelet's own credentials. Control planes use the section made for it.
    """
    if not wanted:
        return config
    documents = node_style(config, minor, "KubeNodeConfig" if control_plane else "KubeletConfig") == DOCUMENT_STYLE
    if control_plane:
        values = {taint.key: f"{taint.value}:{taint.effect}" if taint.value else taint.effect for taint in wanted}
        return _in_document(config, "KubeNodeConfig", {}, ("taints", values)) if documents else _in_legacy(config, ("machine", "nodeTaints"), values)
    value = (_machine(config).get("kubelet") or {}).get("extraConfig") if not documents else (config.get("KubeletConfig") or {}).get("config")
    known = [item for item in (value or {}).get("registerWithTaints") or [] if not _same_taint(item, wanted)]
    entry = {"registerWithTaints": known + [_registered(taint) for taint in wanted]}
    return _in_document(config, "KubeletConfig", {}, ("config", entry)) if documents else _in_legacy(config, ("machine", "kubelet", "extraConfig"), entry)


def _same_taint(item: t.Any, wanted: t.Sequence[Taint]) -> bool:
    return isinstance(item, dict) and any((item.get("key"), item.get("effect")) == (taint.key, taint.effect) for taint in wanted)


def _registered(taint: Taint) -> dict[str, str]:
    entry = {"key": taint.key, "value": taint.value, "effect": taint.effect}
    return {name: text for name, text in entry.items() if text}


def _machine(config: Config) -> dict[str, t.Any]:
    return (config.get(table.LEGACY) or {}).get("machine") or {}


def _set(value: dict[str, t.Any] | None, path: t.Sequence[str], entries: dict[str, t.Any]) -> dict[str, t.Any]:
    value = value or {}
    if not path:
        return {**value, **entries}
    return {**value, path[0]: _set(value.get(path[0]), path[1:], entries)}


def _in_legacy(config: Config, path: t.Sequence[str], entries: dict[str, t.Any]) -> Config:
    return Config(
        tuple(
            dataclasses.replace(document, value=_set(document.value, path, entries)) if document.kind.kind == table.LEGACY else document
            for document in config.documents
        )
    )


def _in_document(config: Config, name: str, entries: dict[str, t.Any], below: tuple[str, dict[str, t.Any]] | None = None) -> Config:
    """Entries of a document without name (made when missing); below: entries of one of its maps."""
    kind = table.kind(name)
    if kind is None:
        raise AssertionError(f"the field table has no document {name}")
    known = config.all(name)
    document = known[0] if known else Document(kind, {"apiVersion": "v1alpha1", "kind": name})
    value = _set(document.value, (), entries)
    if below is not None:
        value = _set(value, (below[0],), below[1])
    changed = dataclasses.replace(document, value=value)
    if known:
        return Config(tuple(changed if found is document else found for found in config.documents))
    return Config(legacy_first((*config.documents, changed)))
