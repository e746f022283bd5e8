# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""From a base config, patches and nodes to one config per node: text, digest, warnings and a redacted diff.

The base and the common patches are parsed once; each node adds only what is its own.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import re
import typing as t

from . import emit, place, redact, table, validate
from .documents import Config, from_nodes
from .mistaken import mistaken
from .patching import Patched, apply_all, load_patches, read_patches
from .patching import from_nodes as patch_from_nodes
from .yamltext import ConfigError, Mapping, Node, Scalar, Sequence, documents

ROLES = ("worker", "controlplane")


@dataclasses.dataclass(frozen=True)
class NodeInput:
    """What is one node's own. hostname "" leaves the config's; patch is a text like the common one."""

    name: str
    hostname: str = ""
    labels: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    taints: t.Sequence[t.Mapping[str, str]] = ()
    patch: str | None = None


@dataclasses.dataclass(frozen=True)
class NodeConfig:
    """A rendered config. text is secret; digest is the SHA-256 of text; diff is {"before": base, "after": result}, secrets replaced."""

    text: str
    digest: str
    warnings: list[str]
    diff: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Info:
    """What the config says of its cluster. The CA texts are PEM ("" when the config has none), the digests SHA-256 of their DER."""

    machine_type: str
    cluster_name: str
    endpoint: str
    talos_version: str
    style: str
    talos_ca_pem: str
    kubernetes_ca_pem: str
    talos_ca_sha256: str
    kubernetes_ca_sha256: str


@dataclasses.dataclass(frozen=True)
class Rendering:
    """Configs by node name; errors by node name (such a node has no config)."""

    nodes: dict[str, NodeConfig]
    errors: dict[str, list[str]]
    info: Info


def render_nodes(config: str, patch: str | None, nodes: t.Sequence[NodeInput], role: str, talos_version: str | None, mode: str) -> Rendering:
    """Render a config for each node.

    role is "worker" or "controlplane" and must be what the config says; talos_version ("v1.13.2") defaults to the tag of
    machine.install.image, else the newest known; mode is "cloud" or "metal". Raises ConfigError when the base or the common patch is
    wrong, naming every problem; what is wrong with one node only is in errors.
    """
    nodes_read = _named("config", lambda: documents(config), config)
    patches_read = _named("patch", lambda: read_patches(patch or ""), patch or "")
    minor, version = release([*nodes_read, *(node for nodes in patches_read for node in nodes)], talos_version)
    base = _named("config", lambda: from_nodes(nodes_read, minor), config)
    common = _named("patch", lambda: [patch_from_nodes(nodes, minor) for nodes in patches_read], patch or "")
    patched = _named("patch", lambda: apply_all(Patched(minor, text=config, config=base, notes=_unknown(minor, version)), common))
    whole = _named("patch", patched.config)
    _check_role(whole, role)
    shown = redact.printer(minor)
    job = _Job(minor, mode, role == "controlplane", shown.config(base), patched, emit.ConfigPrinter(minor), shown)
    rendered, errors = {}, {}
    for node in nodes:
        try:
            rendered[node.name] = job.node(node)
        except ConfigError as error:
            errors[node.name] = str(error).split("\n")
    if not nodes:
        problems, _warnings = _judged(whole, minor, mode)
        if problems:
            raise ConfigError("\n".join(problems))
    return Rendering(rendered, errors, info(whole, version))


def _judged(config: Config, minor: int, mode: str) -> tuple[list[str], list[str]]:
    """(problems, warnings): Talos' own, and what would print as something that Talos cannot read again."""
    problems, warnings = validate.validate(config, minor, mode)
    unreadable = [
        f"{document.title}: portSelector.protocol: must be one of icmp, tcp, udp, icmpv6"
        for document in config.all("NetworkRuleConfig")
        if not (document.value.get("portSelector") or {}).get("protocol")
    ]
    return unreadable + problems, warnings


@dataclasses.dataclass(frozen=True)
class _Job:
    minor: int
    mode: str
    control_plane: bool
    before: str
    start: Patched
    printer: emit.ConfigPrinter
    shown: emit.ConfigPrinter

    def node(self, node: NodeInput) -> NodeConfig:
        """One node's config; raises ConfigError with all its problems, one a line."""
        patches = _named("node patch", lambda: load_patches(node.patch or "", self.minor), node.patch or "")
        patched = _named("node patch", lambda: apply_all(self.start, patches)) if patches else self.start
        config = self.placed(_named("node patch", patched.config), node)
        problems, warnings = _judged(config, self.minor, self.mode)
        if problems:
            raise ConfigError("\n".join([*problems, *(f"note: {note}" for note in patched.notes)]))
        text = self.printer.config(config)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return NodeConfig(text, digest, [*patched.notes, *warnings], {"before": self.before, "after": self.shown.config(config)})

    def placed(self, config: Config, node: NodeInput) -> Config:
        """The config with the node's hostname, labels and taints."""
        if node.hostname:
            config = place.hostname(config, node.hostname, self.minor)
        taints = [place.Taint(str(taint["key"]), str(taint.get("value") or ""), str(taint.get("effect") or "NoSchedule")) for taint in node.taints]
        config = place.labels(config, node.labels, self.minor, self.control_plane)
        return place.taints(config, taints, self.minor, self.control_plane)


T = t.TypeVar("T")


def _named(source: str, work: t.Callable[[], T], text: str = "") -> T:
    """Run work; each line of its ConfigError is led by the input it is about. Of a text that is another thing altogether, only that is said."""
    try:
        return work()
    except ConfigError as error:
        lines = (mistaken(text) or str(error)).split("\n")
        raise ConfigError("\n".join(f"{source}: {line}" for line in lines)) from None


# ---- releases ---------------------------------------------------------------------------------------------------------------------------

RELEASE = re.compile(r"v?1\.(\d{1,2})(?:\.\d+(?:[-+.].*)?)?")


def release(read: t.Sequence[Node], talos_version: str | None) -> tuple[int, str]:
    """The minor release that rules (6 for 1.6) and its text: the option's, else the install image's, else the newest known."""
    if talos_version:
        match = RELEASE.fullmatch(talos_version.strip())
        if match is None or int(match[1]) < table.OLDEST:
            raise ConfigError(f"talos_version: {talos_version!r} is not a Talos release from v1.{table.OLDEST} on, such as v1.{table.NEWEST}.0")
        return min(int(match[1]), table.NEWEST + 1), talos_version.strip()
    tag = install_tag(read)
    match = RELEASE.fullmatch(tag)
    if match is not None and int(match[1]) >= table.OLDEST:
        return min(int(match[1]), table.NEWEST + 1), tag
    return table.NEWEST, f"v1.{table.NEWEST}"


def _unknown(minor: int, version: str) -> tuple[str, ...]:
    """What to say of a release newer than the rules."""
    return () if minor <= table.NEWEST else (f"Talos {version} is newer than 1.{table.NEWEST}, the newest release whose rules are known here: those are used",)


INSTALL_IMAGE_PATHS = (("machine", "install", "image"), ("installer", "image"))


def install_tag(read: t.Iterable[Node]) -> str:
    """The tag of the last installer image named in documents that are not decoded yet (the release decides how), "" if there is none."""
    tag = ""
    for node in read:
        inner = install_tag(node.items) if isinstance(node, Sequence) else ""
        images = [_text_at(node, path) for path in INSTALL_IMAGE_PATHS]
        tag = inner or next((image.partition("@")[0].rpartition(":")[2] for image in images if image), tag)
    return tag


def _text_at(node: Node | None, path: t.Sequence[str]) -> str:
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node.text if isinstance(node, Scalar) else ""


# ---- what the config says ---------------------------------------------------------------------------------------------------------------


def machine_type(config: Config) -> str:
    """worker or controlplane; Talos takes "" and "join" for worker and "init" for controlplane."""
    machine = (config.get(table.LEGACY) or {}).get("machine") or {}
    word = str(machine.get("type", ""))
    return {"": "worker", "join": "worker", "init": "controlplane"}.get(word, word)


def _check_role(config: Config, role: str) -> None:
    if role not in ROLES:
        raise ConfigError(f"role: {role!r} must be one of {', '.join(ROLES)}")
    found = machine_type(config)
    if found != role:
        raise ConfigError(f"config: machine.type is {found!r} but the role is {role!r}; this is the config of another role")


def info(config: Config, version: str) -> Info:
    """The cluster's name, endpoint and CAs, from whichever style the config has."""
    legacy = config.get(table.LEGACY) or {}
    machine, cluster = legacy.get("machine") or {}, legacy.get("cluster") or {}
    modern = config.get("KubeClusterConfig") or {}
    talos_ca = _pem((machine.get("ca") or {}).get("crt", ""))
    authority = ((config.get("KubeAPIServerCAConfig") or {}).get("issuingCA") or {}).get("cert", "")
    accepted = (config.get("KubeAPIServerCAConfig") or {}).get("acceptedCAs") or []
    kubernetes_ca = authority or (accepted[0] if accepted else "") or _pem((cluster.get("ca") or {}).get("crt", ""))
    return Info(
        machine_type=machine_type(config),
        cluster_name=cluster.get("clusterName") or modern.get("clusterName", ""),
        endpoint=(cluster.get("controlPlane") or {}).get("endpoint") or modern.get("endpoint", ""),
        talos_version=version,
        style=place.style(config),
        talos_ca_pem=talos_ca,
        kubernetes_ca_pem=kubernetes_ca,
        talos_ca_sha256=ca_digest(talos_ca),
        kubernetes_ca_sha256=ca_digest(kubernetes_ca),
    )


def _pem(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def ca_digest(pem: str) -> str:
    """SHA-256 (hex) of the first certificate's DER in a PEM text, "" if there is none."""
    match = CERTIFICATE.search(pem)
    try:
        return hashlib.sha256(base64.b64decode("".join(match[1].split()), validate=True)).hexdigest() if match else ""
    except (binascii.Error, ValueError):
        return ""
