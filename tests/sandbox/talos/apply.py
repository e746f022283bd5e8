# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ApplyConfiguration, by Talos release: the separate maintenance server up to 1.12, one server from 1.13, no reboots from 1.14.

Order and texts as in Talos' v1alpha1_server.go (1.13) and, up to 1.12, internal/app/maintenance/server.go.
"""

from __future__ import annotations

import asyncio
import copy
import difflib
import typing as t

from ansible_collections.k8s_cluster.manager.plugins.module_utils._talos.messages import message
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from . import config as machine
from .decode import ConfigError, Version

if t.TYPE_CHECKING:
    from .node import Node

REBOOT, AUTO, NO_REBOOT, STAGED, TRY = range(5)
WORDS = {NO_REBOOT: "no-reboot", STAGED: "staged"}
TRY_SECONDS = 60
# Legacy keys whose change needs no reboot (CanApplyImmediate), by the first release that has them in its list.
IMMEDIATE_MACHINE: dict[Version, tuple[str, ...]] = {
    (1, 0): (
        "time",
        "certSANs",
        "install",
        "network",
        "sysfs",
        "sysctls",
        "logging",
        "controlPlane",
        "kubelet",
        "kernel",
        "registries",
        "pods",
        "seccompProfiles",
        "nodeLabels",
    ),
    (1, 7): ("ca", "acceptedCAs", "nodeTaints"),
    (1, 10): ("nodeAnnotations",),
}
IMMEDIATE_FEATURES: dict[Version, tuple[str, ...]] = {
    (1, 0): ("kubernetesTalosAPIAccess",),
    (1, 7): ("kubePrism", "hostDNS"),
    (1, 10): ("imageCache", "nodeAddressSortAlgorithm"),
}
DETAILS = {
    REBOOT: "Applied configuration with a reboot",
    NO_REBOOT: "Applied configuration without a reboot",
    TRY: "Applied configuration without a reboot",
    STAGED: "Staged configuration to be applied after the next reboot",
}


def _refused(text: str, code: Status = Status.INVALID_ARGUMENT) -> GRPCError:
    return GRPCError(code, text)


async def apply_configuration(node: Node, request: t.Any, granted: frozenset[str]) -> t.Any:
    """Take a configuration, or say why not."""
    state = node.state
    if state.impostor:
        state.stolen.append(request.data)
    if not state.up and state.version < (1, 13):
        return _old_maintenance(node, request)
    if state.version < (1, 13):
        return await _apply(node, request, granted)
    if node.service.applying:
        raise _refused("another apply configuration is already in progress", Status.FAILED_PRECONDITION)
    if state.phase == "rebooting":
        text = "configuration was already applied and node is rebooting, cannot apply more configuration changes until next reboot"
        raise _refused(text, Status.FAILED_PRECONDITION)
    node.service.applying = True
    try:
        await node.world.pause("talos.apply", 0.02)
        return await _apply(node, request, granted)
    finally:
        node.service.applying = False


def _reply(**fields: t.Any) -> t.Any:
    reply = message("machine.ApplyConfigurationResponse")()
    reply.messages.add(**fields)
    return reply


def _old_maintenance(node: Node, request: t.Any) -> t.Any:
    """Talos up to 1.12 in maintenance: every accepted mode hands the configuration over."""
    if request.mode in WORDS:
        raise _refused(f"apply configuration --mode='{WORDS[request.mode]}' is not supported in maintenance mode", Status.UNIMPLEMENTED)
    if node.state.phase != "maintenance":
        raise _refused("the maintenance service is stopping", Status.UNAVAILABLE)
    try:
        config = machine.load(request.data, node.state.version)
    except ConfigError as error:
        raise _refused(f"failed to parse config: {error}", Status.UNKNOWN) from None
    try:
        warnings = machine.validate(config, node.state.version)
    except ConfigError as error:
        raise _refused(f"configuration validation failed: {error}") from None
    if request.dry_run:
        return _reply(mode_details="Dry run summary:\nNode is running in maintenance mode and does not have a config yet.")
    _take(node, config)
    return _reply(warnings=warnings)


def _take(node: Node, config: machine.MachineConfig) -> None:
    """Maintenance ends with a complete configuration; other documents alone do not end it."""
    if config.complete:
        node.state.persisted = config.text
        node.state.phase = "installing"
        node.configured.set()


async def _apply(node: Node, request: t.Any, granted: frozenset[str]) -> t.Any:
    """The one server of 1.13 and newer, and configured nodes of every release."""
    state = node.state
    maintenance = state.phase == "maintenance"
    if not maintenance and "os:admin" not in granted:
        raise _refused("not authorized", Status.PERMISSION_DENIED)
    if state.version >= (1, 14) and request.mode == REBOOT and not maintenance:
        raise _refused("the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead", Status.UNIMPLEMENTED)
    try:
        config = machine.load(request.data, state.version)
        if not maintenance and not config.complete:
            raise ConfigError("the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch the machine config instead?")
        warnings = machine.validate(config, state.version)
    except ConfigError as error:
        raise _refused(str(error)) from None
    mode, details = _mode(node, request, config, maintenance)
    if request.dry_run:
        return _reply(mode=mode, mode_details=f"Dry run summary:\n{details} (skipped in dry-run).\n{_diff(node, config)}")
    return _reply(mode=mode, warnings=warnings, mode_details=_carry_out(node, request, config, mode, details))


def _mode(node: Node, request: t.Any, config: machine.MachineConfig, maintenance: bool) -> tuple[int, str]:
    """The mode that is carried out and Talos' sentence for it."""
    mode = request.mode
    if mode not in DETAILS and mode != AUTO:
        raise _refused(f"incorrect mode '{mode}' specified for the apply config call", Status.UNKNOWN)
    if maintenance:
        if mode == TRY:
            raise _refused("try mode in maintenance is not simulated", Status.UNIMPLEMENTED)
        mode = NO_REBOOT if mode in (REBOOT, AUTO) else mode
        return mode, DETAILS[mode]
    reason = "" if node.state.version >= (1, 14) else _needs_reboot(node, config)
    if mode == AUTO:
        return (REBOOT, f"{DETAILS[REBOOT]}: {reason}") if reason else (NO_REBOOT, DETAILS[NO_REBOOT])
    if mode in (NO_REBOOT, TRY) and reason:
        raise _refused(reason)
    return mode, DETAILS[mode]


def _needs_reboot(node: Node, config: machine.MachineConfig) -> str:
    """Why the change cannot be made in a running node; "" when it can. Other documents than the legacy one are not looked at."""
    current = t.cast(machine.MachineConfig, node.state.config)
    if _fixed(current, config, node.state.version) == _fixed(config, current, node.state.version):
        return ""
    return f"this config change can't be applied in immediate mode\ndiff:\n{_text_diff(current.text, config.text)}"


def _listed(table: dict[Version, tuple[str, ...]], version: Version) -> frozenset[str]:
    return frozenset(name for since, names in table.items() if since <= version for name in names)


def _fixed(config: machine.MachineConfig, other: machine.MachineConfig, version: Version) -> dict[str, t.Any]:
    """What of the legacy document only a reboot changes. Where one of the two has no features, all of them count."""
    legacy = copy.deepcopy(config.document(""))
    legacy.pop("debug", None)
    legacy.pop("cluster", None)
    part = {key: value for key, value in (legacy.pop("machine", None) or {}).items() if key not in _listed(IMMEDIATE_MACHINE, version)}
    features = part.pop("features", None)
    if features is not None and other.get("machine.features") is not None:
        features = {key: value for key, value in features.items() if key not in _listed(IMMEDIATE_FEATURES, version)}
    return {**legacy, "machine": part, "features": features}


def _text_diff(old: bytes, new: bytes) -> str:
    return "".join(difflib.unified_diff(old.decode().splitlines(True), new.decode().splitlines(True), "a", "b"))


def _diff(node: Node, config: machine.MachineConfig) -> str:
    return "Config diff:\n\n" + (_text_diff(node.state.active or b"", config.text) or "No changes.")


def _carry_out(node: Node, request: t.Any, config: machine.MachineConfig, mode: int, details: str) -> str:
    """Store, activate, reboot: whatever the mode means."""
    state = node.state
    if mode == TRY:
        seconds = request.try_mode_timeout.seconds if request.HasField("try_mode_timeout") else TRY_SECONDS
        details += f"\nThe config is applied in 'try' mode and will be automatically reverted back in {_duration(seconds)}"
        node.world.loop.create_task(_revert(node, state.active, config.text, seconds))
    else:
        state.persisted = config.text
    if state.phase == "maintenance":
        if mode != STAGED:
            _take(node, config)
    elif mode in (NO_REBOOT, TRY):
        state.active = config.text
    elif mode == REBOOT:
        node.restart()
    return details


def _duration(seconds: int) -> str:
    """Go's way to write a duration."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


async def _revert(node: Node, old: bytes | None, tried: bytes, seconds: int) -> None:
    """Take a tried configuration back, unless another was applied meanwhile."""
    await asyncio.sleep(seconds)
    if node.state.active == tried and node.state.persisted != tried:
        node.state.active = old
