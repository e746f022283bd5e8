# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible's main process prepares for its tasks. Each test has a process of its own: preparing changes the one it happens in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
START = """
import gc, os, sys
from tests import conftest
for name in {missing!r}:
    sys.modules[name] = None
os.environ["AWS_PROFILE"] = "unknown"
from ansible_collections.k8s_cluster.manager.plugins.action import cluster_sources
from ansible_collections.k8s_cluster.manager.plugins.module_utils._aws import clients
"""


def said(code: str, missing: tuple[str, ...] = (), **environment: str) -> str:
    """What this code prints after the action was loaded; missing: libraries that are not installed."""
    script = START.format(missing=missing) + code
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout.strip()


def test_what_modules_import_is_there() -> None:
    names = ["cloudflare", "httpcore", "kubernetes.client.rest", "grpclib.client", "boto3"]
    own = [f"ansible_collections.k8s_cluster.manager.plugins.modules.{path.stem}" for path in (ROOT / "plugins" / "modules").glob("*.py")]
    assert said(f"print([name for name in {[*names, *own]!r} if name not in sys.modules], gc.get_freeze_count() > 0, gc.isenabled())") == "[] True True"


def test_no_task_reads_the_file_of_a_filter() -> None:
    """Neither Ansible's nor the collection's: a task that uses one would import all that it stands on, a third of a short task's time."""
    code = """
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core < 2.19
    trust_as_template = str
before = set(sys.modules)
Templar(DataLoader()).template(trust_as_template("{{ ['x'] | k8s_cluster.manager.name_list | select('equalto', 'x') | list | default([]) }}"))
print([name for name in sys.modules if name not in before and name.startswith(("ansible_collections", "ansible.plugins"))])
"""
    assert said(code) == "[]"


def test_ec2s_methods_are_named_before() -> None:
    """A client has one for each operation, and names each anew unless botocore remembers."""
    code = """
import botocore
names = clients.prepared[0].get_service_model("ec2").operation_names
print(len(names) > 500, [name for name in names if (name, "_") not in botocore._xform_cache])
"""
    assert said(code) == "True []"


def test_the_prepared_session_knows_the_services_and_nothing_of_the_user() -> None:
    code = """
del os.environ["AWS_PROFILE"]
session, reads = clients.prepared[0], []
session.get_component("data_loader").file_loader.load_file = lambda path: reads.append(path)
for service in ("ec2", "elbv2", "resourcegroupstaggingapi", "pricing"):
    session.create_client(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
print(reads)
"""
    assert said(code) == "[]"


@pytest.mark.parametrize("library", ["kubernetes", "cloudflare", "boto3", "grpclib"])
def test_what_is_not_installed_is_left_out(library: str) -> None:
    """The others are prepared all the same."""
    names = [name for name in ("kubernetes.client.rest", "cloudflare", "boto3") if not name.startswith(library)]
    assert said(f"print([name for name in {names} if name not in sys.modules])", (library,)) == "[]"


def test_what_the_user_has_wrong_is_for_a_task_to_say() -> None:
    code = """
from ansible_collections.k8s_cluster.manager.plugins.module_utils._cloudflare import client
try:
    client.connect("token")
except client.CloudflareError as error:
    print(error)
"""
    assert said(code, SSL_CERT_FILE="/nowhere").startswith("Cannot read the certificate authorities: ")
