# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as AWX runs it: a private data directory with the project's checkout, an inventory script and the extra variables, and ansible-runner on it."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import ansible_runner
import yaml

from tests import checkout

# What a project's checkout needs to run; the tests are not copied with it.
PARTS = ("playbooks", "plugins", "roles", "meta", "collections", "galaxy.yml")
# What AWX says to each of its jobs by itself.
OWN = {"awx_job_id": 7, "tower_job_id": 7, "awx_job_launch_type": "manual", "awx_job_template_name": "k8s create nodes", "awx_user_name": "operator"}


@dataclasses.dataclass
class Job:
    """A job that has run: its status, everything in its event stream, and what it left for the next job of a workflow."""

    status: str
    events: list[dict[str, t.Any]]
    folder: Path

    @property
    def output(self) -> str:
        """What an operator sees."""
        return "\n".join(event["stdout"] for event in self.events)

    @property
    def artifacts(self) -> dict[str, t.Any]:
        """What AWX keeps as the job's artifacts."""
        (stats,) = (event["event_data"] for event in self.events if event["event"] == "playbook_on_stats")
        return t.cast("dict[str, t.Any]", stats["artifact_data"])

    @property
    def changed(self) -> int:
        """The number of changed tasks."""
        (stats,) = (event["event_data"] for event in self.events if event["event"] == "playbook_on_stats")
        return sum(stats["changed"].values())

    def kept(self) -> t.Iterator[tuple[str, str]]:
        """Name and text of every file that the run left, but for what it was given."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path.relative_to(self.folder).parts[0] not in ("env", "inventory", "project", "credentials"):
                yield str(path.relative_to(self.folder)), path.read_text(errors="replace")


class _Unsafe(yaml.SafeDumper):
    """Writes every text so that Ansible never takes it for a template, as AWX does with what is said at a launch; keys, too."""

    def represent_data(self, data: t.Any) -> yaml.Node:
        return self.represent_scalar("!unsafe", data) if isinstance(data, str) else super().represent_data(data)


def prepare(folder: Path, clusters: t.Mapping[str, t.Mapping[str, t.Any]], extra_vars: t.Mapping[str, t.Any]) -> None:
    """Make the private data directory of a job."""
    checkout.copy(folder / "project", *PARTS)
    for name in ("inventory", "env"):
        (folder / name).mkdir()
    variables = {name: {**said, "remote_tower_enabled": "true", "remote_tower_id": 1} for name, said in clusters.items()}
    hosts = {"all": {"hosts": list(clusters)}, "_meta": {"hostvars": variables}}
    script = folder / "inventory/hosts"
    script.write_text(f"#!/usr/bin/env python3\nprint({json.dumps(hosts)!r})\n")
    script.chmod(0o700)
    (folder / "env/extravars").write_text(yaml.dump({**OWN, **extra_vars}, Dumper=_Unsafe))


def run(folder: Path, playbook: str, env: t.Mapping[str, str], *arguments: str, verbosity: int = 0) -> Job:
    """Run a playbook of the prepared project."""
    done = ansible_runner.run(
        private_data_dir=str(folder),
        playbook=playbook,
        inventory=str(folder / "inventory/hosts"),
        envvars={**env, "HOME": str(folder / "credentials")},
        cmdline=" ".join(arguments) or None,
        verbosity=verbosity or None,
        suppress_env_files=True,
        ident="7",
        quiet=True,
    )
    return Job(done.status, list(done.events), folder)
