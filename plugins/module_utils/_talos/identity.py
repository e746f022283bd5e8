# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Who answers at a node's address: which mode it is in, and whether it is the machine whose console we read."""

from __future__ import annotations

import dataclasses
import re

from . import tls
from .transport import Connection, TalosError

_FINGERPRINT = "([A-Za-z0-9+/]{43}=)"
# What Talos prints in maintenance mode: a log line with fields as JSON, and a command line to copy. All versions print both.
_CONSOLE = re.compile(rf"""server\ certificate\ issued.*?"fingerprint":\s*"{_FINGERPRINT}"|--cert-fingerprint\s+'?{_FINGERPRINT}""", re.VERBOSE)

MAINTENANCE = "maintenance"
SECURE = "secure"
FOREIGN = "foreign"
UNFIT = "unfit"
SILENT = "silent"


@dataclasses.dataclass(frozen=True)
class Sighting:
    """What a look at a node showed.

    mode: maintenance (certificate in fingerprint), secure (this cluster's CA vouches for it), foreign (neither), unfit (this cluster's CA,
    but the certificate does not name the address or is not valid now), silent (nobody answers). detail says it in words.
    """

    mode: str
    detail: str
    fingerprint: str = ""


def newest_fingerprint(console: str) -> str | None:
    """The fingerprint of the latest certificate that a node's console tells of; the key changes with each (every 12 h, on address changes)."""
    found = None
    for match in _CONSOLE.finditer(console):
        found = match.group(1) or match.group(2)
    return found


async def look(stranger: Connection, ca: str) -> Sighting:
    """Look at who answers, by TLS handshakes alone: nothing is sent. stranger is a connection that verifies nothing; ca: PEM of the cluster's Talos CA."""
    try:
        der = await stranger.certificate()
    except TalosError as error:
        return Sighting(SILENT, f"the Talos API does not answer ({error})")
    if tls.common_name(der) == tls.MAINTENANCE_NAME:
        return Sighting(MAINTENANCE, "in maintenance mode", tls.fingerprint(der))
    async with Connection(stranger.endpoint, tls.verified_context(ca)) as verified:
        return await recognise(verified)


async def recognise(verified: Connection) -> Sighting:
    """Look at who answers over a connection that only accepts this cluster's CA. One in maintenance mode is as foreign to it as any other."""
    try:
        await verified.certificate()
    except TalosError as error:
        if error.code == "WRONG_ADDRESS":
            return Sighting(UNFIT, f"the node's certificate does not name {verified.endpoint.host} (machine.certSANs adds addresses)")
        if error.code == "WRONG_TIME":
            return Sighting(UNFIT, f"the node's certificate is not valid now, are the clocks right? ({error})")
        if error.code == "UNTRUSTED":
            return Sighting(FOREIGN, "its certificate is not of this cluster's Talos CA")
        return Sighting(SILENT, f"the Talos API does not answer ({error})")
    return Sighting(SECURE, "configured")
