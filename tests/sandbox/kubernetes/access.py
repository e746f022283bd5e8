# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a request comes from and what it may do: client certificates of the cluster's own CA, and RBAC's cluster roles."""

from __future__ import annotations

import dataclasses
import typing as t
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from .cluster import Cluster, Object
from .errors import unauthorized
from .resources import BINDINGS, ROLES

ADMINS = "system:masters"
AUTHENTICATED = "system:authenticated"


@dataclasses.dataclass(frozen=True)
class User:
    """Name and groups, from the certificate's common name and organizations."""

    name: str
    groups: tuple[str, ...]


def authenticate(certificate_pem: str, ca_pem: str) -> User:
    """The user of a client certificate; 401 without one, or for one of another cluster's CA (Talos switches anonymous access off)."""
    if not certificate_pem:
        raise unauthorized()
    # werkzeug hands the certificate over as it is; a proxy would quote it.
    certificate = x509.load_pem_x509_certificate(unquote(certificate_pem).encode())
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem.encode()))
    except (InvalidSignature, ValueError, TypeError):
        raise unauthorized() from None
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if not names:
        raise unauthorized()
    return User(str(names[0].value), (*(str(group.value) for group in groups), AUTHENTICATED))


def _subject(user: User, subject: Object) -> bool:
    return subject.get("name") in user.groups if subject.get("kind") == "Group" else subject.get("kind") == "User" and subject.get("name") == user.name


def _rules(cluster: Cluster, user: User) -> t.Iterator[Object]:
    for binding in cluster.list(BINDINGS):
        if any(_subject(user, subject) for subject in binding.get("subjects") or []):
            role = cluster.find(ROLES, "", (binding.get("roleRef") or {}).get("name", ""))
            yield from (role or {}).get("rules") or []


def allowed(cluster: Cluster, user: User, verb: str, group: str, resource: str) -> bool:
    """Whether the user may do verb to the resource ("pods", "pods/eviction") of the API group, in any namespace."""
    if ADMINS in user.groups:
        return True

    def covers(rule: Object, key: str, wanted: str) -> bool:
        return any(word in ("*", wanted) for word in rule.get(key) or [])

    return any(covers(rule, "apiGroups", group) and covers(rule, "resources", resource) and covers(rule, "verbs", verb) for rule in _rules(cluster, user))
