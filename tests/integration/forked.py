# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules as Ansible's workers run them, in processes forked from one that has imported everything: for what is repeated many times."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import importlib
import io
import json
import multiprocessing
import os
import threading
import time
import typing as t

from ansible.module_utils import basic

PLUGINS = "ansible_collections.k8s_cluster.manager.plugins"
SECONDS = 120.0

# One thread at a time: what another one holds while it forks, a fork never gets.
_forking = threading.Lock()


def run(env: t.Mapping[str, str], module: str, **options: t.Any) -> dict[str, t.Any]:
    """Run a module in a process of its own and return its result."""
    fork = multiprocessing.get_context("fork")
    receiving, sending = fork.Pipe(duplex=False)
    process = fork.Process(target=_become, args=(dict(env), module, options, sending))
    with _forking:
        _warm()
        process.start()
    sending.close()
    if not receiving.poll(SECONDS):
        process.kill()
    try:
        return t.cast("dict[str, t.Any]", json.loads(receiving.recv()))
    finally:
        process.join()


def together(*works: t.Callable[[], t.Any]) -> list[concurrent.futures.Future[t.Any]]:
    """Begin all of these at once, each in a thread; what each becomes."""
    pool = concurrent.futures.ThreadPoolExecutor(len(works))
    begun = [pool.submit(work) for work in works]
    pool.shutdown(wait=False)
    return begun


def until(happened: t.Callable[[], t.Any], what: str) -> None:
    """Wait for something; fails if it takes too long."""
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@functools.cache
def _warm() -> None:
    importlib.import_module(f"{PLUGINS}.plugin_utils._preparation").prepare()


def _become(env: dict[str, str], module: str, options: dict[str, t.Any], sending: t.Any) -> None:
    """In the fork: be the module. What it prints last is its result."""
    os.environ.clear()
    os.environ.update(env)
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    answer = io.StringIO()
    with contextlib.redirect_stdout(answer), contextlib.suppress(SystemExit):
        importlib.import_module(f"{PLUGINS}.modules.{module}").main()
    sending.send(answer.getvalue().strip().splitlines()[-1])
