# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""The checks that several parts of a machine config share: addresses, URLs, names, keys, links. They take what Go's own parsers take."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import typing as t

from . import cel, urls
from .yamltext import ConfigError

KUBESPAN_MTU = 1280

PROTECTED_KUBELET = frozenset(
    (
        "apiVersion",
        "authentication",
        "authorization",
        "cgroupRoot",
        "kind",
        "kubeletCgroups",
        "port",
        "protectKernelDefaults",
        "resolvConf",
        "rotateCertificates",
        "systemCgroups",
        "staticPodPath",
        "seccompDefault",
    )
)

ROLES = ("os:admin", "os:operator", "os:reader", "os:etcd:backup", "os:impersonator")


def roles(minor: int) -> tuple[str, ...]:
    """The roles of Talos' API."""
    return (*ROLES, "os:image:verifier", "os:meta:writer") if minor >= 13 else ROLES


URL_USER = re.compile(r"(?<=://)[^/@]+@")


class Warn(str):
    """A message that is a warning, not a problem."""


def quoted(value: object) -> str:
    """A value as a message shows it: short, on one line, in double quotes, URLs without their users."""
    text = URL_USER.sub("...@", " ".join(str(value).split()))
    short = text if len(text) <= 80 else text[:77] + "..."
    return '"' + short.replace("\\", "\\\\").replace('"', '\\"') + '"'


def expression(text: str, path: str, words: str, environment: str) -> t.Iterator[str]:
    """An expression over the variables of an environment, as far as cel.problem() looks."""
    problem = cel.problem(text, environment)
    if problem:
        yield f"{path}: {words}: {problem}"


# ---- addresses and URLs -----------------------------------------------------------------------------------------------------------------


def is_addr(text: str) -> bool:
    """Whether Go's netip.ParseAddr takes it: an address, for IPv6 with a zone if wanted."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text.isascii()


def is_address(text: str) -> bool:
    """Whether Go's net.ParseIP takes it: no zone."""
    return "%" not in text and is_addr(text)


def is_prefix(text: str) -> bool:
    """Whether Go's net.ParseCIDR takes it."""
    address, _slash, bits = text.rpartition("/")
    return is_address(address) and bits.isascii() and bits.isdecimal() and int(bits[:9]) <= (128 if ":" in address else 32)


def is_go_prefix(text: str) -> bool:
    """Whether Go's netip.ParsePrefix takes it: no leading zeros."""
    bits = text.rpartition("/")[2]
    return is_prefix(text) and (bits == "0" or not bits.startswith("0"))


def masked(prefix: str) -> str:
    """A prefix without host bits."""
    return str(ipaddress.ip_network(prefix, strict=False))


def overlap(left: str, right: str) -> bool:
    """Whether two prefixes of one family have addresses in common (host bits count)."""
    one, two = ipaddress.ip_interface(left), ipaddress.ip_interface(right)
    return one.version == two.version and (two.ip in one.network or one.ip in two.network)


def subnets(texts: t.Iterable[str], path: str, what: str) -> t.Iterator[str]:
    """Subnets or addresses, "!" before those that are excluded."""
    for text in texts:
        bare = text.removeprefix("!")
        if not is_go_prefix(bare) and not is_addr(bare):
            yield f"{path}: {what} is not valid: {quoted(bare)}"


def go_url(text: str) -> urls.Url:
    """A URL's parts as Go reads them; empty ones for what is none."""
    try:
        return urls.parse(text)
    except ConfigError:
        return urls.Url()


def hostname(url: urls.Url) -> str:
    """The host without port and brackets."""
    name, colon, _port = url.host.rpartition(":")
    host = name if colon and re.fullmatch(r".*\]|[^\[]*", name) else url.host
    return host[1 : host.index("]")] if host.startswith("[") and "]" in host else host


def port(url: urls.Url) -> str:
    """The port's digits, "" if there are none."""
    match = re.search(r":([0-9]*)$", url.host)
    return match[1] if match and not ("[" in url.host and "]" in url.host[match.start() :]) else ""


def endpoint_problem(text: str) -> str:
    """Why a text is no URL of an endpoint, "" if it is one."""
    try:
        url = urls.parse(text)
    except ConfigError as error:
        return str(error)
    if url.host.count(":") > 2 and not ("[" in url.host and "]" in url.host):
        return "IPv6 addresses MUST be enclosed by square brackets"
    if not hostname(url):
        return "hostname must not be blank"
    digits = port(url)
    if digits and not 1 <= int(digits[:9]) <= 65535:
        return "port number must be between 1 and 65535"
    return ""


def host_port_problem(text: str) -> str:
    """Why Go's net.SplitHostPort does not take a text, "" if it does."""
    host, colon, _port = text.rpartition(":")
    if not colon:
        return f"address {text[:80]}: missing port in address" if text else "missing port in address"
    if text.startswith("["):
        end = text.find("]")
        if end < 0:
            return f"address {text[:80]}: missing ']' in address"
        if end + 1 == len(text) or text[end + 1] != ":":
            return f"address {text[:80]}: missing port in address"
        host, rest = text[1:end], text[end + 1 :]
        if rest.count(":") > 1:
            return f"address {text[:80]}: too many colons in address"
    elif ":" in host:
        return f"address {text[:80]}: too many colons in address"
    stray = next((sign for sign in "[]" if sign in (host if text.startswith("[") else text)), "")
    return f"address {text[:80]}: unexpected '{stray}' in address" if stray else ""


DNS_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62}(\.[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62})*[._]?")


def is_dns_name(text: str) -> bool:
    """Whether a text can be a DNS name."""
    return len(text) > 0 and len(text) - text.count(".") <= 255 and DNS_NAME.fullmatch(text) is not None


IMAGE = re.compile(r"(?:(?P<registry>localhost|[^/]*[.:][^/]*)/)?(?P<path>[a-z0-9_./-]{2,255})(?::(?P<tag>[A-Za-z0-9_.-]{1,128}))?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
REGISTRY = re.compile(r"(?:\[[^\]]*\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")


def image_digested(text: str) -> bool | None:
    """Whether an image reference has a digest; None if it is no image reference."""
    name, at, digest = text.partition("@")
    match = IMAGE.fullmatch(name)
    if match is None or (at and not DIGEST.fullmatch(digest)) or not REGISTRY.fullmatch(match["registry"] or ""):
        return None
    return bool(at)


# ---- certificates and keys --------------------------------------------------------------------------------------------------------------

PEM = re.compile(r"-----BEGIN ([^\n-]+)-----[ \t]*\r?\n((?:[^\n:]*:[^\n]*\n)*)(.*?)-----END \1-----", re.DOTALL)
NO_PEM = "failed to parse PEM block"


def _blocks(text: str) -> list[tuple[str, bytes]]:
    """The PEM blocks (type, content) of a text."""
    found = []
    for match in PEM.finditer(text):
        try:
            found.append((match[1], base64.b64decode("".join(match[3].split()), validate=True)))
        except (binascii.Error, ValueError):
            continue
    return found


def _is_der(content: bytes) -> bool:
    """Whether bytes are one DER sequence; what is in it, Talos' own library alone can tell."""
    if len(content) < 2 or content[0] != 0x30:
        return False
    more = content[1] & 0x7F if content[1] & 0x80 else 0
    length = int.from_bytes(content[2 : 2 + more], "big") if more else content[1]
    return len(content) == 2 + more + length


def pem_problem(text: str, kind: str = "") -> str:
    """Why a text is not made of PEM blocks (of a kind), "" if it is."""
    blocks = _blocks(text)
    other = next((found for found, _content in blocks if kind and found != kind), None)
    if other is not None:
        return f'unexpected PEM block type {quoted(other)}, expected one of ["{kind}"]'
    return "" if blocks else "no PEM blocks found"


def has_certificate(text: str) -> bool:
    """Whether any PEM block of a text is a certificate."""
    return any(kind == "CERTIFICATE" and _is_der(content) for kind, content in _blocks(text))


def certificate_problem(text: str) -> str:
    """Why a text's first PEM block is no certificate."""
    blocks = _blocks(text)
    return NO_PEM if not blocks else "" if _is_der(blocks[0][1]) else "failed to parse certificate"


def generic_key_problem(text: str) -> str:
    """Why a text's first PEM block is no private key, whatever its type."""
    blocks = _blocks(text)
    return NO_PEM if not blocks else "" if _is_der(blocks[0][1]) else "failed to parse key"


KEY_TYPES = ("RSA PRIVATE KEY", "ED25519 PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY")


def private_key_problem(text: str) -> str:
    """Why a text's first PEM block is no private key of a type Talos knows."""
    blocks = _blocks(text)
    if blocks and blocks[0][0] not in KEY_TYPES:
        return f"unsupported key type {quoted(blocks[0][0])}"
    return generic_key_problem(text)


def key_pair(pair: dict[str, str], path: str, what: str, load: bool) -> t.Iterator[str]:
    """A certificate and its key; Talos names the first problem only. Never shows either."""
    cert, key = pair.get("cert", ""), pair.get("key", "")
    loaded = (("cert", "certificate is invalid", certificate_problem(cert)), ("key", "key is invalid", private_key_problem(key))) if load else ()
    for name, words, problem in (
        ("cert", "certificate is required", "" if cert else "-"),
        ("key", "key is required", "" if key else "-"),
        ("cert", "certificate", pem_problem(cert, "CERTIFICATE")),
        ("key", "key", pem_problem(key)),
        *loaded,
    ):
        if problem:
            yield f"{path}.{name}: {what}: {words}" + (f": {problem}" if problem != "-" else "")
            return


def key_length(text: str) -> int | None:
    """How many bytes a key in base64 has; None if it is not base64."""
    try:
        return len(base64.b64decode(re.sub(r"[\r\n]", "", text).encode(), validate=True))
    except (binascii.Error, ValueError):
        return None


def wireguard_key_problem(text: str) -> str:
    """Why a text is no WireGuard key (32 bytes in base64), "" if it is one. Never shows it."""
    length = key_length(text)
    return "illegal base64 data" if length is None else "" if length == 32 else "invalid wireguard key length"


# ---- the container runtime --------------------------------------------------------------------------------------------------------------

TEXTS = ["string"]
# The upper parts of a runtime specification (github.com/opencontainers/runtime-spec); [] is a list, {} an object.
RUNTIME_SPEC: dict[str, t.Any] = {
    "ociVersion": "string",
    "hostname": "string",
    "domainname": "string",
    "annotations": {"*": "string"},
    "mounts": [{}],
    "root": {"path": "string", "readonly": "bool"},
    "hooks": {},
    "linux": {},
    "solaris": {},
    "windows": {},
    "vm": {},
    "zos": {},
    "process": {
        "args": TEXTS,
        "commandLine": "string",
        "env": TEXTS,
        "cwd": "string",
        "terminal": "bool",
        "noNewPrivileges": "bool",
        "apparmorProfile": "string",
        "selinuxLabel": "string",
        "user": {},
        "capabilities": {},
        "rlimits": [{}],
    },
}
JSON_TYPES: tuple[tuple[type, str], ...] = ((bool, "bool"), (str, "string"), (dict, "object"), (list, "array"))


def runtime_spec(found: t.Any, path: str, wanted: t.Any = None) -> t.Iterator[str]:
    """What cannot be part of a runtime specification (its upper parts; Go ignores the case of keys)."""
    wanted = RUNTIME_SPEC if wanted is None else wanted
    word = "object" if isinstance(wanted, dict) else "array" if isinstance(wanted, list) else wanted
    kind = next((name for python, name in JSON_TYPES if isinstance(found, python)), "number")
    if found is None:
        return
    if kind != word:
        yield f"{path}: failed to unmarshal base runtime spec overrides: json: cannot unmarshal {kind} into a Go {word}"
    elif isinstance(found, dict):
        names = {name.lower(): name for name in wanted}
        for key, value in found.items():
            below = wanted.get("*") or wanted.get(names.get(key.lower(), ""))
            if below is not None:
                yield from runtime_spec(value, f"{path}.{key}", below)
    elif isinstance(found, list):
        for index, value in enumerate(found):
            yield from runtime_spec(value, f"{path}[{index}]", wanted[0])


# ---- Kubernetes' names ------------------------------------------------------------------------------------------------------------------

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
RESERVED_ANNOTATIONS = ("talos.dev/owned-annotations", "talos.dev/owned-labels", "talos.dev/owned-taints")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
ANNOTATIONS_SIZE = 256 * 1024


def subdomain_problem(text: str) -> str:
    """Why a text is no DNS subdomain (RFC 1123), "" if it is one."""
    if len(text.encode()) > 253:
        return f"domain name length exceeds limit of 253: {quoted(text)}"
    return "" if SUBDOMAIN.fullmatch(text) else f"domain doesn't match required format: {quoted(text)}"


def qualified_name_problem(key: str) -> str:
    """Why a text is no name that Kubernetes takes for a label, "" if it is one."""
    prefix, slash, name = key.partition("/")
    if "/" in name:
        return f"invalid format: too many slashes: {quoted(key)}"
    if slash and not prefix:
        return f"prefix cannot be empty: {quoted(key)}"
    if slash and subdomain_problem(prefix):
        return f"prefix {quoted(prefix)} is invalid: {subdomain_problem(prefix)}"
    name = name if slash else prefix
    if not name:
        return f"name cannot be empty: {quoted(key)}"
    if len(name.encode()) > 63:
        return f"name is too long: {quoted(key)} (limit is 63)"
    return "" if QUALIFIED.fullmatch(name) else f"name {quoted(name)} is invalid"


def _value_problem(value: str) -> str:
    if len(value.encode()) > 63:
        return f"label value length exceeds limit of 63: {quoted(value)}"
    return "" if not value or QUALIFIED.fullmatch(value) else f"label value {quoted(value)} is invalid"


def label_problems(found: t.Mapping[str, str], path: str) -> t.Iterator[str]:
    """Label keys and values."""
    for key, value in sorted(found.items()):
        for problem in filter(None, (qualified_name_problem(key), _value_problem(value))):
            yield f"{path}[{quoted(key)}]: {problem}"


def annotation_problems(found: t.Mapping[str, str], path: str) -> t.Iterator[str]:
    """Annotation keys, and the size of all."""
    for key in sorted(found):
        problem = qualified_name_problem(key)
        if problem:
            yield f"{path}[{quoted(key)}]: {problem}"
        if key in RESERVED_ANNOTATIONS:
            yield f"{path}[{quoted(key)}]: annotation {quoted(key)} is reserved"
    if sum(len(key.encode()) + len(value.encode()) for key, value in found.items()) > ANNOTATIONS_SIZE:
        yield f"{path}: total annotation size exceeds limit of {ANNOTATIONS_SIZE} bytes"


def taint_problems(found: t.Mapping[str, str], path: str) -> t.Iterator[str]:
    """Taints as Talos writes them: key: "value:effect" or key: effect."""
    for key, text in sorted(found.items()):
        value, colon, effect = text.partition(":")
        effect = effect if colon else value
        problem = qualified_name_problem(key)
        if not problem and effect not in EFFECTS:
            problem = f"invalid taint effect: {quoted(effect)}; must be one of {', '.join(EFFECTS)}"
        elif not problem and colon:
            problem = _value_problem(value)
        if problem:
            yield f"{path}[{quoted(key)}]: {problem}"


# ---- the CNI ----------------------------------------------------------------------------------------------------------------------------


def cni(found: dict[str, t.Any], path: str, minor: int) -> t.Iterator[str]:
    """The CNI and what belongs to it."""
    name, urls_given, flannel = found.get("name", ""), found.get("urls") or [], found.get("flannel") or {}
    if name not in ("flannel", "custom", "none"):
        yield f'{path}.name: cni name should be one of ["flannel", "custom", "none"]; it is {quoted(name)}'
        return
    if name != "custom" and urls_given:
        yield f'{path}.urls: "urls" field should be empty for {quoted(name)} CNI'
    if name == "custom" and not urls_given:
        yield Warn(f'{path}.urls: "urls" field should not be empty for {quoted(name)} CNI')
    if name != "flannel" and flannel.get("extraArgs"):
        yield f'{path}.flannel.extraArgs: "flanneldExtraArgs" field should be empty for {quoted(name)} CNI'
    if name != "flannel" and flannel.get("kubeNetworkPoliciesEnabled") and minor >= 13:
        yield f'{path}.flannel.kubeNetworkPoliciesEnabled: "flannelKubeNetworkPoliciesEnabled" should not be enabled for {quoted(name)} CNI'
    for url in urls_given if name == "custom" else ():
        problem = endpoint_problem(url)
        if problem:
            yield f"{path}.urls: {problem}"
