# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Validation of the documents about disks and volumes. A message is "path: Talos' words", the path within the document."""

from __future__ import annotations

import re
import typing as t

from . import checks
from .checks import quoted
from .documents import Document
from .scalars import parse_bytes_number

Value = dict[str, t.Any]
Check = t.Callable[[Document, int], t.Iterator[str]]

VOLUMES = {
    8: ("EPHEMERAL",),
    9: ("EPHEMERAL", "IMAGECACHE"),
    11: ("STATE", "EPHEMERAL", "IMAGECACHE"),
    14: ("STATE", "EPHEMERAL", "IMAGECACHE", "ETCD", "CRI", "KUBELET", "LOG"),
}
SCRUB_LEAST = 10 * 10**9


def _volume(document: Document, minor: int) -> t.Iterator[str]:
    allowed = VOLUMES[max(since for since in VOLUMES if since <= minor)]
    if document.name not in allowed:
        listed = "[" + " ".join(map(quoted, allowed)) + "]" if minor >= 9 else allowed[0]
        yield f"name: only {listed} volumes are supported"
        return
    yield from _constraints(document, minor)
    yield from _provisioning(document.value, minor, required=False)
    yield from encryption(document.value, minor)
    yield from _care(document.value)


def _constraints(document: Document, minor: int) -> t.Iterator[str]:
    """What each system volume may have."""
    value, name = document.value, document.name
    keys = (value.get("encryption") or {}).get("keys") or []
    if name == "STATE" and _provisioned(value):
        yield f"provisioning: provisioning config is not allowed for the {quoted(name)} volume"
    if name == "STATE" and any(key.get("lockToState") for key in keys):
        yield f"encryption.keys: state-locked key is not allowed for the {quoted(name)} volume"
    if minor < 14:
        return
    if name in ("STATE", "IMAGECACHE") and value.get("mount"):
        yield f"mount: mount config is not allowed for the {quoted(name)} volume"
    if name == "IMAGECACHE" and (value.get("filesystem") or {}).get("xfs") is not None:
        yield f"filesystem: filesystem config is not allowed for the {quoted(name)} volume"
    if name in ("ETCD", "CRI", "KUBELET", "LOG") and value.get("mount") and not _provisioned(value):
        yield f"mount: mount config for the {quoted(name)} volume is only supported when it is provisioned onto a dedicated partition"


def _provisioned(value: Value) -> bool:
    provisioning = value.get("provisioning") or {}
    selected = (provisioning.get("diskSelector") or {}).get("match")
    return bool(selected or provisioning.get("minSize") or provisioning.get("maxSize") or provisioning.get("grow") is not None)


def _provisioning(value: Value, minor: int, required: bool, sizes: bool = True) -> t.Iterator[str]:
    provisioning = value.get("provisioning") or {}
    match = (provisioning.get("diskSelector") or {}).get("match")
    if match:
        yield from checks.expression(match, "provisioning.diskSelector.match", "disk selector is invalid", "disk")
    elif required:
        yield "provisioning.diskSelector.match: disk selector is required"
    low, slots = provisioning.get("minSize", ""), provisioning.get("maxSize") or {}
    high, percent = slots.get("bytes", ""), "bytes" not in slots and bool(slots.get("percent"))
    if not sizes:
        if low or high or percent or provisioning.get("grow") is not None:
            yield "provisioning: min size, max size and grow are not supported"
        return
    if low and high and not (minor >= 13 and high.startswith("-")):
        if size(low) > size(high):
            yield "provisioning.minSize: min size is greater than max size"
    elif required and not low and not high and not percent:
        yield "provisioning.minSize: min size or max size is required"
    if minor >= 13 and low.startswith("-"):
        yield "provisioning.minSize: min size cannot be negative"


def size(text: str) -> int:
    """The bytes of a size that was decoded before, without its sign."""
    return parse_bytes_number(text.removeprefix("-"))


def encryption(value: Value, minor: int) -> t.Iterator[str]:
    """The encryption of a volume."""
    found = value.get("encryption") or {}
    keys, provider = found.get("keys") or [], found.get("provider") or "none"
    if provider == "none" and not keys:
        return
    if provider != "luks2":
        yield f"encryption.provider: unsupported encryption provider: {provider}"
    if not keys:
        yield "encryption.keys: encryption keys are required"
    slots: set[int] = set()
    for index, key in enumerate(keys):
        slot = key.get("slot", 0)
        if slot in slots:
            yield f"encryption.keys[{index}].slot: duplicate key slot {slot}"
        slots.add(slot)
        if all(key.get(way) is None for way in ("static", "nodeID", "kms", "tpm")):
            yield f"encryption.keys[{index}]: at least one encryption key type must be specified for slot {slot}"
        for pcr in ((key.get("tpm") or {}).get("options") or {}).get("pcrs") or []:
            if not 0 <= pcr <= 23:
                yield f"encryption.keys[{index}].tpm.options.pcrs: TPM PCR {pcr} is out of range (0-23)"


def _care(value: Value) -> t.Iterator[str]:
    """Trimming and scrubbing (from 1.14 on)."""
    if ((value.get("trim") or {}).get("interval") or 0) < 0:
        yield "trim.interval: trim interval cannot be negative"
    every = (value.get("scrub") or {}).get("interval") or 0
    if every and every < SCRUB_LEAST:
        yield "scrub.interval: scrub interval: minimum value is 10s"


PLAIN_NAME = re.compile(r"[A-Za-z0-9-]*")
GROUP_NAME = re.compile(r"[A-Za-z0-9_-]*")
LETTERS = "name can only contain lowercase and uppercase ASCII letters, digits, and hyphens"
GROUP_LETTERS = "name can only contain ASCII letters, digits, hyphens and underscores"


def _named(document: Document, limit: int = 34, allowed: re.Pattern[str] = PLAIN_NAME, words: str = LETTERS) -> t.Iterator[str]:
    name = document.name
    if not name:
        yield "name: name is required"
    if limit and not 1 <= len(name.encode()) <= limit:
        yield f"name: name must be between 1 and {limit} characters long"
    if not allowed.fullmatch(name):
        yield f"name: {words}"


def _user_volume(document: Document, minor: int) -> t.Iterator[str]:
    value = document.value
    yield from _named(document)
    kind = value.get("volumeType") or "partition"
    if kind == "directory":
        yield from _directory(value, minor)
    elif kind in ("disk", "partition"):
        yield from _provisioning(value, minor, required=True, sizes=kind == "partition")
        yield from _filesystem(value.get("filesystem") or {}, minor)
        yield from encryption(value, minor)
    else:
        yield f"volumeType: unsupported volume type {quoted(kind)}"
    yield from _care(value)


def _directory(value: Value, minor: int) -> t.Iterator[str]:
    found, system = value.get("encryption") or {}, value.get("filesystem") or {}
    if _provisioned(value):
        yield "provisioning: provisioning spec is invalid for volumeType directory"
    if found.get("keys") or found.get("provider") not in (None, "none"):
        yield "encryption: encryption spec is invalid for volumeType directory"
    if system.get("type") not in (None, "none") or system.get("projectQuotaSupport") is not None or system.get("xfs") is not None:
        yield "filesystem: filesystem spec is invalid for volumeType directory"
    if minor == 13 and value.get("mount"):
        yield "mount: mount spec is invalid for volumeType directory"
    if minor >= 14 and (value.get("mount") or {}).get("disableAccessTime") is not None:
        yield "mount.disableAccessTime: mount.disableAccessTime is invalid for volumeType directory"


def _filesystem(found: Value, minor: int) -> t.Iterator[str]:
    kind = found.get("type") or "none"
    if kind not in ("none", "xfs", "ext4") and not (kind == "btrfs" and minor >= 14):
        yield f"filesystem.type: unsupported filesystem type: {kind}"
    elif found.get("projectQuotaSupport") and kind not in ("none", "xfs"):
        yield "filesystem.projectQuotaSupport: project quota support is only available for xfs filesystem"
    elif found.get("xfs") is not None and kind not in ("none", "xfs"):
        yield "filesystem.xfs: xfs options are only available for xfs filesystem"


def _raw_volume(document: Document, minor: int) -> t.Iterator[str]:
    yield from _named(document)
    yield from _provisioning(document.value, minor, required=True)
    yield from encryption(document.value, minor)


def _existing_volume(document: Document, minor: int) -> t.Iterator[str]:
    yield from _named(document, 0)
    match = ((document.value.get("discovery") or {}).get("volumeSelector") or {}).get("match")
    if match:
        yield from checks.expression(match, "discovery.volumeSelector.match", "volume selector is invalid", "volume")
    else:
        yield "discovery.volumeSelector.match: volume selector is required"
    yield from _care(document.value)


def _external_volume(document: Document, minor: int) -> t.Iterator[str]:
    yield from _named(document)
    kind = document.value.get("filesystemType") or "none"
    mount = (document.value.get("mount") or {}).get("virtiofs")
    if kind != "virtiofs":
        yield f"filesystemType: invalid filesystem type: {kind}"
    elif mount is None:
        yield "mount.virtiofs: virtiofs mount spec is required"
    elif not mount.get("tag"):
        yield "mount.virtiofs.tag: virtiofs tag is required"


def _trim(document: Document, minor: int) -> t.Iterator[str]:
    if document.value.get("interval", 0) < 0:
        yield "interval: interval cannot be negative"


def _scrub(document: Document, minor: int) -> t.Iterator[str]:
    every = document.value.get("interval", 0)
    if every and every < SCRUB_LEAST:
        yield "interval: scrub interval: minimum value is 10s"


def _zswap(document: Document, minor: int) -> t.Iterator[str]:
    if not 0 <= document.value.get("maxPoolPercent", 0) <= 100:
        yield "maxPoolPercent: maxPoolPercent must be between 0 and 100"


def _logical_volume(document: Document, minor: int) -> t.Iterator[str]:
    value, kind = document.value, document.value.get("type") or "linear"
    yield from _named(document, 63, GROUP_NAME, GROUP_LETTERS)
    for name, kinds, least in (("mirrors", ("raid1", "raid10"), 1), ("stripes", ("raid0", "raid10"), 2)):
        if value.get(name) is not None and kind not in kinds:
            yield f"{name}: {name} is only valid for {'/'.join(kinds)}, not {kind}"
        elif value.get(name) is not None and value[name] < least:
            yield f"{name}: {name} must be at least {least}"
    provisioning = value.get("provisioning") or {}
    slots, low = provisioning.get("maxSize") or {}, provisioning.get("minSize", "")
    high = slots.get("bytes", "")
    if not provisioning.get("volumeGroup"):
        yield "provisioning.volumeGroup: provisioning.volumeGroup is required"
    if not slots:
        yield "provisioning.maxSize: provisioning.maxSize is required"
    if (high or slots.get("percent", "")).startswith("-"):
        yield "provisioning.maxSize: provisioning.maxSize must not be negative"
    if low and (high or not slots) and size(low) > (size(high) if high else 0):
        yield "provisioning.minSize: provisioning.minSize must not exceed provisioning.maxSize"


def _selected(document: Document) -> t.Iterator[str]:
    path = "provisioning.volumeSelector.match"
    match = ((document.value.get("provisioning") or {}).get("volumeSelector") or {}).get("match")
    if match:
        yield from checks.expression(match, path, path, "member")
    else:
        yield f"{path}: {path} is required"


def _volume_group(document: Document, minor: int) -> t.Iterator[str]:
    yield from _named(document, 63, GROUP_NAME, GROUP_LETTERS)
    yield from _selected(document)


def _array(document: Document, minor: int) -> t.Iterator[str]:
    yield from _named(document, 32, GROUP_NAME, GROUP_LETTERS)
    yield from _selected(document)


CHECKS: dict[str, Check] = {
    "ExistingVolumeConfig": _existing_volume,
    "ExternalVolumeConfig": _external_volume,
    "FilesystemScrubConfig": _scrub,
    "FilesystemTrimConfig": _trim,
    "LVMLogicalVolumeConfig": _logical_volume,
    "LVMVolumeGroupConfig": _volume_group,
    "RAIDArrayConfig": _array,
    "RawVolumeConfig": _raw_volume,
    "SwapVolumeConfig": _raw_volume,
    "UserVolumeConfig": _user_volume,
    "VolumeConfig": _volume,
    "ZswapConfig": _zswap,
}
