# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to the collection and may change without notice.

"""What all tasks of a run would do anew, done once: Ansible forks a process for each task, which finds it done.

Without it a task imports what it needs itself: a run is slower then, no other.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import pkgutil
import typing as t

from ansible.plugins import loader

PLUGINS = "ansible_collections.k8s_cluster.manager.plugins"
SERVICES = ("ec2", "elbv2", "resourcegroupstaggingapi", "pricing")


@functools.cache
def prepare() -> None:
    """Import the collection's modules and their SDKs, and have botocore read what it knows of the services."""
    with _no_garbage():
        for step in (_jinja, _modules, _kubernetes, _cloudflare, _aws):
            # What is missing or wrong (SSL_CERT_FILE) is said by the module that needs it.
            with contextlib.suppress(ImportError, OSError):
                step()


@contextlib.contextmanager
def _no_garbage() -> t.Iterator[None]:
    """What is made here stays, so no process need look for garbage in it: looking takes time, and would copy it into each task's, page by page."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def _jinja() -> None:
    """Find a filter of Ansible's, one of the collection's and one of Jinja's: that loads what all others of theirs are looked up in."""
    for plugins, names in ((loader.filter_loader, ("default", "k8s_cluster.manager.given", "list")), (loader.test_loader, ("default", "equalto"))):
        for name in names:
            plugins.get(name)


def _modules() -> None:
    for found in pkgutil.iter_modules(importlib.import_module(f"{PLUGINS}.modules").__path__, f"{PLUGINS}.modules."):
        importlib.import_module(found.name)


def _kubernetes() -> None:
    importlib.import_module("kubernetes.client.rest")


def _cloudflare() -> None:
    importlib.import_module("cloudflare")
    _util("_cloudflare.client").tls()


def _aws() -> None:
    importlib.import_module("boto3")
    _util("_aws.clients").prepare(SERVICES)


def _util(name: str) -> t.Any:
    return importlib.import_module(f"{PLUGINS}.module_utils.{name}")
