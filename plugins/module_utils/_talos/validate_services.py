# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Validation of the documents about the machine's services: registries, containers, logs, discovery. A message is "path: Talos' words"."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from . import checks
from .checks import Warn, quoted
from .documents import Document
from .scalars import parse_bytes_number
from .yamltext import ConfigError

Value = dict[str, t.Any]
Check = t.Callable[[Document, int], t.Iterator[str]]

VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _environment(document: Document, minor: int) -> t.Iterator[str]:
    for name in sorted(document.value.get("variables") or {}):
        if not VARIABLE.fullmatch(name):
            yield f"variables: invalid environment variable name: {quoted(name)}"


def _extension_service(document: Document, minor: int) -> t.Iterator[str]:
    """Talos names the first problem only."""
    name, files = quoted(document.name), document.value.get("configFiles") or []
    if not document.name:
        yield "name: name is required"
    elif not files and not document.value.get("environment"):
        yield f"configFiles: no config files found for extension {name}"
    else:
        for index, item in enumerate(files):
            for part, words in (("content", "extension content"), ("mountPath", "extension mount path")):
                if not item.get(part):
                    yield f"configFiles[{index}].{part}: {words} is required for extension {name}"
                    return


def _image_verification(document: Document, minor: int) -> t.Iterator[str]:
    for index, rule in enumerate(document.value.get("rules") or []):
        for path, problem in (*_image_rule(rule), *_verifiers(rule)):
            yield f"rules[{index}].{path}: rule {index}: {problem}"
        for warning in _image_warnings(rule.get("image", ""), minor):
            yield Warn(f"rules[{index}].image: rule {index}: {warning}")


def _image_rule(rule: Value) -> t.Iterator[tuple[str, str]]:
    keyless, public = rule.get("keyless"), rule.get("publicKey")
    final, verified = rule.get("skip") or rule.get("deny"), keyless is not None or public is not None
    if not rule.get("image"):
        yield "image", "imagePattern must be specified"
    if rule.get("skip") and rule.get("deny"):
        yield "skip", "skip and deny cannot both be true"
    if final and verified:
        yield "skip", "verifiers cannot be configured if skip or deny is true"
    if not final and not verified:
        yield "keyless", "at least one verifier must be configured"
    if keyless is not None and public is not None:
        yield "keyless", "only one of keyless or publicKey verifier can be configured"


def _verifiers(rule: Value) -> t.Iterator[tuple[str, str]]:
    keyless, public = rule.get("keyless"), rule.get("publicKey")
    if keyless is not None and not keyless.get("issuer"):
        yield "keyless.issuer", "verifier OIDC issuer must be specified"
    if keyless is not None and not keyless.get("subject") and not keyless.get("subjectRegex"):
        yield "keyless.subject", "verifier subject or subjectRegex must be specified"
    if public is not None and not public.get("certificate"):
        yield "publicKey.certificate", "verifier certificates must be specified"


def _image_warnings(pattern: str, minor: int) -> t.Iterator[str]:
    matching = "matching only applies to the image registry and repository, not the tag or digest"
    if "@" in pattern:
        yield f"imagePattern contains '@' but {matching}"
    if ":" in pattern.partition("/")[2]:
        yield f"imagePattern contains ':' but {matching}"
    if minor <= 13 and pattern not in ("", "*") and "/" not in pattern:
        yield "imagePattern does not contain a '/', image references like 'nginx' are matched as 'docker.io/nginx' (normalized)"
    if minor >= 14 and pattern and _matches_nothing(pattern):
        yield (
            f"imagePattern {quoted(pattern)} cannot match any image: references are matched in their normalized "
            "'<registry domain>/<repository>' form, e.g. 'nginx' is matched as 'docker.io/library/nginx'"
        )


def _matches_nothing(pattern: str) -> bool:
    prefix, star, _rest = pattern.partition("*")
    domain, slash, _path = prefix.partition("/")
    if not slash:
        return not star
    return "." not in domain and ":" not in domain and domain.lower() != "localhost"


def _registry_auth(document: Document, minor: int) -> t.Iterator[str]:
    username, token, auth = (bool(document.value.get(name)) for name in ("username", "identityToken", "auth"))
    if not document.name:
        yield "name: name must be specified"
    if username and token:
        yield "username: only one of username/password or identityToken authentication can be specified"
    if auth and (username or token):
        yield "auth: only one of auth, username/password or identityToken authentication can be specified"


def _registry_mirror(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield "name: name must be specified"
    for index, endpoint in enumerate(document.value.get("endpoints") or []):
        url, path = endpoint.get("url", ""), f"endpoints[{index}].url"
        scheme = checks.go_url(url).scheme
        if not url:
            yield f"{path}: {path} must be specified"
        elif scheme not in ("http", "https"):
            yield f"{path}: {path} has unsupported scheme: {quoted(scheme)}"


def _registry_tls(document: Document, minor: int) -> t.Iterator[str]:
    authority, identity = document.value.get("ca"), document.value.get("clientIdentity")
    if not document.name:
        yield "name: name must be specified"
    if authority and not checks.has_certificate(authority):
        yield "ca: ca must be a valid PEM-encoded certificate"
    if identity is not None and minor >= 14:
        yield from checks.key_pair(identity, "clientIdentity", "client identity", load=False)
    elif identity is not None:
        for name, what, problem in (("cert", "certificate", checks.certificate_problem), ("key", "key", checks.generic_key_problem)):
            words = problem(identity.get(name, ""))
            if words:
                yield f"clientIdentity.{name}: client identity {what} is invalid: {words}"


def _base_runtime(document: Document, minor: int) -> t.Iterator[str]:
    yield from checks.runtime_spec(document.value.get("overrides") or {}, "overrides")


def _customization(document: Document, minor: int) -> t.Iterator[str]:
    problem = checks.qualified_name_problem(document.name)
    if problem:
        yield f"name: invalid name: {problem}"
    if document.name == "customization":
        yield f"name: name {quoted(document.name)} is reserved for the legacy CRI customization"


MANAGED_FILES = ("resolv.conf", "hosts", "machine-id", "extensions.yaml", "localtime", "os-release", "xattr.conf")
MANAGED_FOLDERS = ("apparmor.d", "apparmor", "ca-certificates", "cni", "cri", "iscsi", "kubernetes", "lvm", "nvme", "pki", "selinux", "ssl")


def _etc_file(document: Document, minor: int) -> t.Iterator[str]:
    name = document.name
    if not name:
        yield "name: user etc file name cannot be empty"
    elif name.startswith((".", "/")) or not _local(name):
        yield f"name: user etc file {quoted(name)} must be a local path"
    elif name in MANAGED_FILES or name.split("/", 1)[0] in MANAGED_FOLDERS:
        yield f"name: user etc file {quoted(name)} is managed by Talos"


def _local(path: str) -> bool:
    """Whether a path never leaves where it starts."""
    depth = 0
    for part in path.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return False
    return True


def _event_sink(document: Document, minor: int) -> t.Iterator[str]:
    problem = checks.host_port_problem(document.value.get("endpoint", ""))
    if problem:
        yield f"endpoint: event sink endpoint: {problem}"


def _url(key: str, schemes: tuple[str, ...], named: bool) -> Check:
    """A document with one URL; Talos names the first problem only."""

    def check(document: Document, minor: int) -> t.Iterator[str]:
        text = document.value.get(key, "")
        url = checks.go_url(text)
        if named and not document.name:
            yield "name: name is required"
        elif not text:
            yield f"{key}: {key} is required"
        elif url.scheme not in schemes:
            yield f"{key}: {key} scheme must be {' or '.join(f'{scheme}://' for scheme in schemes)}"
        elif url.path not in ("", "/"):
            yield f"{key}: {key} path must be empty"
        elif named and not checks.port(url):
            yield f"{key}: {key} port is required"

    return check


def _named(document: Document, minor: int) -> t.Iterator[str]:
    if not document.name:
        yield "name: name is required"


def _oom(document: Document, minor: int) -> t.Iterator[str]:
    trigger, ranking = document.value.get("triggerExpression"), document.value.get("cgroupRankingExpression")
    if trigger:
        yield from checks.expression(trigger, "triggerExpression", "OOM trigger expression is invalid", "trigger")
    if ranking:
        yield from checks.expression(ranking, "cgroupRankingExpression", "OOM cgroup scoring expression is invalid", "ranking")
    if document.value.get("sampleInterval", 0) < 0:
        yield "sampleInterval: OOM sample interval must be longer than 0"


def _settings(what: str) -> Check:
    def check(document: Document, minor: int) -> t.Iterator[str]:
        if "" in (document.value.get("params") or {}):
            yield f"params: {what} key cannot be empty"

    return check


def _unattended_install(document: Document, minor: int) -> t.Iterator[str]:
    value, path = document.value, "provisioning.diskSelector.match"
    match = ((value.get("provisioning") or {}).get("diskSelector") or {}).get("match")
    if not (value.get("installer") or {}).get("image"):
        yield Warn("installer.image: installer.image is not set, if Talos is not booted from asset built by Image Factory, installation will fail")
    if match:
        yield from checks.expression(match, path, path, "disk")
    else:
        yield f"{path}: {path} is required"


def _watchdog(document: Document, minor: int) -> t.Iterator[str]:
    if not document.value.get("device"):
        yield "device: watchdog device: empty value"
    elif document.value.get("timeout") and document.value["timeout"] < 10 * 10**9:
        yield "timeout: watchdog timeout: minimum value is 10s"


def _discovery_identity(document: Document, minor: int) -> t.Iterator[str]:
    """Never shows the secret; Talos names the first problem only."""
    secret = document.value.get("clusterSecret", "")
    if not document.value.get("clusterID"):
        yield "clusterID: clusterID is required"
    elif not secret:
        yield "clusterSecret: clusterSecret is required"
    else:
        try:
            length = len(base64.b64decode(re.sub(r"[\r\n]", "", secret).encode(), validate=True))
        except (binascii.Error, ValueError):
            yield "clusterSecret: invalid clusterSecret: failed to decode from base64"
            return
        if length != 32:
            yield f"clusterSecret: invalid clusterSecret: expected 32 bytes, got {length}"


def _discovery_service(document: Document, minor: int) -> t.Iterator[str]:
    text = document.value.get("endpoint", "")
    url = checks.go_url(text)
    if not document.name:
        yield "name: name is required"
    elif not text:
        yield "endpoint: endpoint is required"
    elif not url.scheme:
        yield "endpoint: endpoint scheme is required"
    elif url.scheme not in ("http", "https", "grpc"):
        yield "endpoint: endpoint scheme must be http://, https:// or grpc://"
    elif not checks.hostname(url):
        yield "endpoint: endpoint host is required"


# ---- containers -------------------------------------------------------------------------------------------------------------------------

CONTAINER_NAME = re.compile(r"[a-z0-9-]+")
MOUNT_OPTIONS = ("ro", "rw", "noexec", "nosuid", "nodev", "noatime", "rbind", "rshared")
NETWORK_CONDITIONS = ("addresses", "connectivity", "hostname", "etcfiles")


def _container(document: Document, minor: int) -> t.Iterator[str]:
    value, name, image = document.value, document.name, document.value.get("image", "")
    yield from _container_name(name)
    digested = checks.image_digested(image)
    if not image:
        yield "image: image is required"
    elif digested is None:
        yield f"image: invalid image reference {quoted(image)}: could not parse reference: {image[:80]}"
    elif not digested:
        yield Warn(f"image: container {quoted(name)}: image {quoted(image)} is not digest-pinned, the running image may change on restart")
    for index, entry in enumerate(value.get("environment") or []):
        if "=" not in entry:
            yield f"environment[{index}]: must be in KEY=value form"
    yield from _mounts(value.get("mounts") or [])
    yield from _security(value.get("security") or {})
    mode = (value.get("network") or {}).get("mode", "")
    if mode not in ("", "none", "host"):
        yield f"network.mode: unsupported network mode {quoted(mode)}, expected none or host"
    yield from _limits((value.get("resources") or {}).get("limits") or {})
    yield from _depends_on(value.get("dependsOn") or {}, name)
    for part in ("uid", "gid"):
        number = (value.get("runAs") or {}).get(part)
        if number is not None and number < 0:
            yield f"runAs.{part}: runAs.{part} must be non-negative, got {number}"


def _container_name(name: str) -> t.Iterator[str]:
    if not name:
        yield "name: name is required"
    elif len(name.encode()) > 63:
        yield f"name: name {quoted(name)} must be 63 characters or fewer"
    elif not CONTAINER_NAME.fullmatch(name):
        yield f"name: name {quoted(name)}: name can only contain lowercase ASCII letters, digits and hyphens"


def _absolute(what: str, path: str) -> str:
    if not path:
        return f"{what} is required"
    return "" if path.startswith("/") else f"{what} {quoted(path)} must be an absolute path"


def _mounts(mounts: list[Value]) -> t.Iterator[str]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        where = f"mounts[{index}]"
        known = [(way, mount[way]) for way in ("userVolume", "tmpfs", "hostPath") if mount.get(way) is not None]
        if len(known) != 1:
            yield f"{where}: exactly one of userVolume, tmpfs or hostPath must be set"
            continue
        way, found = known[0]
        problems = [problem for problem in _mount(way, found) if problem]
        # All problems of a mount share its place in Talos' words.
        for position, problem in enumerate(problems):
            yield f"{where}.{way}: {problem}" if position else f"{where}: {problem}"
        if not problems and found["destination"] in seen:
            yield f"{where}: duplicate destination {quoted(found['destination'])}"
        seen.add(found.get("destination", "") if not problems else "")


def _mount(way: str, found: Value) -> t.Iterator[str]:
    if way == "userVolume" and not found.get("name"):
        yield "userVolume.name is required"
    for part in ("source", "destination") if way == "hostPath" else ("destination",):
        yield _absolute(f"{way}.{part}", found.get(part, ""))
    options = found.get("options") or []
    for option in options:
        if option not in MOUNT_OPTIONS:
            yield f"unsupported mount option {quoted(option)}"
    if "ro" in options and "rw" in options:
        yield "mount options ro and rw are mutually exclusive"


def _security(security: Value) -> t.Iterator[str]:
    profile, capabilities = security.get("profile", ""), security.get("capabilities") or {}
    added, dropped = capabilities.get("add") or [], capabilities.get("drop") or []
    if profile not in ("", "restricted", "privileged"):
        yield f"security.profile: unsupported security profile {quoted(profile)}, expected restricted or privileged"
    for part, names in (("add", added), ("drop", dropped)):
        for name in names:
            problem = _capability(name, part)
            if problem:
                yield f"security.capabilities.{part}: {problem}"
    for name in added:
        if name in dropped:
            yield f"security.capabilities: capability {quoted(name)} appears in both add and drop"


def _capability(name: str, part: str) -> str:
    field = f"capabilities.{part}"
    if name == "ALL":
        return "capabilities.add does not accept ALL, use profile: privileged instead" if part == "add" else ""
    if not name:
        return f"{field}: capability name must not be empty"
    if name.startswith("CAP_"):
        return f"{field}: capability {quoted(name)} must be given without the CAP_ prefix"
    if name.upper() != name:
        return f"{field}: capability {quoted(name)} must be upper case"
    return "" if re.fullmatch(r"[A-Z_]*", name) else f"{field}: capability {quoted(name)} may only contain upper case letters and underscores"


def _limits(limits: Value) -> t.Iterator[str]:
    memory, cpu = limits.get("memory", ""), limits.get("cpu", "")
    try:
        parse_bytes_number(memory or "0")
    except ConfigError:
        yield f"resources.limits.memory: limits.memory {quoted(memory)} is not a valid size"
    digits = cpu.removesuffix("m")
    if cpu and digits == cpu:
        yield f"resources.limits.cpu: limits.cpu {quoted(cpu)} must be expressed in millicores, e.g. 1500m"
    elif cpu and not (digits.isascii() and digits.isdecimal() and int(digits[:30]) < 2**64):
        yield f"resources.limits.cpu: limits.cpu {quoted(cpu)} is not a valid millicore quantity"
    elif cpu and not int(digits):
        yield f"resources.limits.cpu: limits.cpu {quoted(cpu)} must be greater than zero"


def _depends_on(depends: Value, own: str) -> t.Iterator[str]:
    for path in depends.get("paths") or []:
        problem = _absolute("dependsOn.paths entry", path)
        if problem:
            yield f"dependsOn.paths: {problem}"
    for condition in depends.get("networks") or []:
        if condition not in NETWORK_CONDITIONS:
            yield f"dependsOn.networks: unsupported dependsOn.networks condition {quoted(condition)}"
    for name in depends.get("containers") or []:
        if not name:
            yield "dependsOn.containers: dependsOn.containers entry must not be empty"
        elif name == own:
            yield f"dependsOn.containers: container {quoted(own)} cannot depend on itself"


def container_dependencies(found: list[Document]) -> t.Iterator[str]:
    """What containers wait for must be there, and not wait for them."""
    edges = {document.name: (document.value.get("dependsOn") or {}).get("containers") or [] for document in found}
    for document in found:
        for name in (document.value.get("dependsOn") or {}).get("containers") or []:
            if name not in edges:
                yield (
                    f"ContainerConfig/{document.name}: dependsOn.containers: container {quoted(document.name)} depends on container {quoted(name)}, "
                    "which is not configured"
                )
    cycles = _cycles(edges)
    if cycles:
        yield f"ContainerConfig: dependsOn.containers: container dependsOn cycle detected: {', '.join(cycles)}"


def _cycles(edges: dict[str, list[str]]) -> list[str]:
    """Each cycle as "a -> b -> a", found depth first from each name in order, without recursion."""
    done: set[str] = set()
    cycles: set[str] = set()
    for start in sorted(edges):
        way = [start] if start not in done else []
        following = [iter(edges[start])] if way else []
        while way:
            name = next(following[-1], None)
            if name is None:
                done.add(way.pop())
                following.pop()
            elif name in way:
                cycles.add(" -> ".join([*way[way.index(name) :], name]))
            elif name in edges and name not in done:
                way.append(name)
                following.append(iter(edges[name]))
    return sorted(cycles)


CHECKS: dict[str, Check] = {
    "CRIBaseRuntimeSpecConfig": _base_runtime,
    "CRICustomizationConfig": _customization,
    "ContainerConfig": _container,
    "DiscoveryIdentityConfig": _discovery_identity,
    "DiscoveryServiceConfig": _discovery_service,
    "EnvironmentConfig": _environment,
    "EtcFileConfig": _etc_file,
    "EventSinkConfig": _event_sink,
    "ExtensionServiceConfig": _extension_service,
    "ImageVerificationConfig": _image_verification,
    "KernelModuleConfig": _named,
    "KmsgLogConfig": _url("url", ("tcp", "udp"), True),
    "OOMConfig": _oom,
    "RegistryAuthConfig": _registry_auth,
    "RegistryMirrorConfig": _registry_mirror,
    "RegistryTLSConfig": _registry_tls,
    "SideroLinkConfig": _url("apiUrl", ("https", "grpc"), False),
    "SysctlConfig": _settings("sysctl"),
    "SysfsConfig": _settings("sysfs"),
    "UnattendedInstallConfig": _unattended_install,
    "WatchdogTimerConfig": _watchdog,
}
