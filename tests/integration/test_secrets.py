# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret gets out: not into output at -vvvv --diff, not into files, arguments or environments of processes, not into ansible-runner's events.

Every secret leaf of every source is looked for, plain and base64-encoded, whole and in pieces of twelve characters.
"""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import json
import os
import re
import sys
import threading
import typing as t
from pathlib import Path

import ansible_runner
import pytest
import yaml

from tests.sandbox.fixture import RunningSandbox

from .playbooks import ELSEWHERE, ROOT, started
from .scenes import secret
from .test_preflight import Trouble

pytestmark = pytest.mark.slow

PIECE = 12
SAMPLE = 0.05
# Leaves of Talos configs, talosconfigs and kubeconfigs that are secret, by the last keys of their paths.
SECRET_LEAF = re.compile(r"(^|/)(token|key|secret|secretboxEncryptionSecret|password|client-key-data|content|HTTPS_PROXY)$")
ENVIRONMENT = ("VAULT_TOKEN", "CLOUDFLARE_API_TOKEN", "AWS_SECRET_ACCESS_KEY")
# What users put into patches besides.
PATCH = {
    "machine": {
        "registries": {"config": {"registry.example": {"auth": {"username": "robot", "password": "canary-Registry-9vXq2LmZ7"}}}},
        "files": [{"path": "/var/lib/app/key", "op": "create", "permissions": 384, "content": "canary-File-Wb6dTz81sQfa\n"}],
        "env": {"HTTPS_PROXY": "http://robot:canary-Proxy-Hy53RkPw0e@proxy.example:3128"},
    }
}


def leaves(value: t.Any, path: str = "") -> t.Iterator[tuple[str, str]]:
    """(path, text) of every leaf of a document that is not empty."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    elif isinstance(value, str) and value:
        yield path, value


def canaries(world: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Where it is to what it is, for every secret leaf of fargle's and fargle2's sources."""
    found = {}
    for name, stored in world["vault"]["secret"].items():
        for key, value in stored.items():
            for document in yaml.safe_load_all(value) if isinstance(value, str) else [{key: value}]:
                found.update({f"{name}{path}": text for path, text in leaves(document) if SECRET_LEAF.search(path)})
    return found


def spellings(text: str) -> t.Iterator[str]:
    """A secret as it may appear: as it is, base64-encoded at any offset, and decoded when it is base64 itself."""
    yield text
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + text.encode()).decode().rstrip("=")
        yield encoded[4 if offset else 0 : -1]
    with contextlib.suppress(ValueError, UnicodeDecodeError):
        yield from (line for line in base64.b64decode(text, validate=True).decode().splitlines() if "-----" not in line)


def pieces(text: str) -> set[str]:
    """All runs of twelve characters."""
    return {text[start : start + PIECE] for start in range(len(text) - PIECE + 1)}


class Watch:
    """Knows every piece of every secret and finds them in texts."""

    def __init__(self, secrets: t.Mapping[str, str]) -> None:
        # What all keys have in common says nothing of any of them.
        heads = "-----BEGIN ED25519 PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI", "-----BEGIN PRIVATE KEY-----\nM", "-----BEGIN EC PRIVATE KEY-----\nM"
        common = {piece for head in heads for spelling in spellings(head) for piece in pieces(spelling)}
        self._known = {piece: where for where, text in secrets.items() for spelling in spellings(text) for piece in pieces(spelling) - common}
        self.found: set[str] = set()

    def look(self, where: str, text: str) -> None:
        """Note secrets in a text."""
        for piece in pieces(text) & self._known.keys():
            self.found.add(f"{self._known[piece]} in {where}: {text[max(0, text.index(piece) - 80) :][:120]!r}")


class Observed(t.NamedTuple):
    """A run that was watched: its exit code, what it printed, and how many other texts were looked at."""

    code: int
    output: str
    files: int
    processes: int


def watched(trouble: Trouble, watch: Watch, tmp_path: Path, playbook: str, *arguments: str, **words: t.Any) -> Observed:
    """Run a playbook at -vvvv --diff; look at its output, its log, its processes' arguments and environments, and at every file below its HOME and TMPDIR."""
    env = {**trouble.env, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "ANSIBLE_LOG_PATH": str(tmp_path / "ansible.log")}
    folders = [tmp_path / "home", tmp_path / "tmp"]
    for folder in folders:
        folder.mkdir()
    files: dict[Path, int] = {}
    processes: set[str] = set()
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE):
            processes.update(_processes(folders[0], env))
            _read(watch, folders, files)

    with concurrent.futures.ThreadPoolExecutor() as pool, started(env, playbook, "-vvvv", "--diff", *arguments, **words) as process:
        sampling = pool.submit(sample)
        try:
            output = process.communicate(timeout=600)[0]
        finally:
            over.set()
    sampling.result()
    _read(watch, folders, files)
    watch.look("log", (tmp_path / "ansible.log").read_text())
    for line in processes:
        watch.look("a process", line)
    watch.look("output", output)
    return Observed(process.returncode, output, len(files), len(processes))


def _processes(home: Path, env: t.Mapping[str, str]) -> t.Iterator[str]:
    """Arguments, and environment but for what the user exported, of every process that has this home (sessions and parents change)."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "environ").read_text(errors="replace").split("\0")
            if f"HOME={home}" in words:
                arguments = (path / "cmdline").read_text(errors="replace").split("\0")
                yield " ".join([*arguments, *sorted(_made_up(words, env))])


def _made_up(words: t.Iterable[str], env: t.Mapping[str, str]) -> set[str]:
    """What of an environment is not as the user exported it."""
    return {word for word in words if word and env.get(word.partition("=")[0]) != word.partition("=")[2]}


def _read(watch: Watch, folders: t.Sequence[Path], seen: dict[Path, int]) -> None:
    """Look at every file below the folders as it is now, unless it was seen at that size."""
    for path in (Path(folder, name) for root in folders for folder, _folders, names in os.walk(root) for name in names):
        with contextlib.suppress(OSError):
            text = path.read_text(errors="replace") if path.is_file() else ""
            if seen.get(path) != len(text):
                seen[path] = len(text)
                watch.look(f"file {path.name}", text)


@pytest.fixture
def trouble(cloud: RunningSandbox) -> Trouble:
    found = Trouble(cloud)
    found.env["AWS_SECRET_ACCESS_KEY"] = "canary-Aws-kT7wQ29xLsVbN4rE"
    for role in ("worker", "controlplane"):
        found.store(f"cluster-fargle-patch-{role}", {"patch.yaml": yaml.safe_dump(PATCH)})
    found.world = cloud.control.world()
    return found


@pytest.fixture
def watch(trouble: Trouble) -> Watch:
    known = canaries(trouble.world)
    assert len(set(known.values())) > 30
    assert sum("canary" in text for text in known.values()) == 2 * 3
    return Watch({**known, **{name: trouble.env[name] for name in ENVIRONMENT}})


def test_the_watch_sees_what_it_is_to_see(watch: Watch) -> None:
    password = "canary-Registry-9vXq2LmZ7"
    for text in (password, password[3:15], base64.b64encode(f"robot:{password}".encode()).decode()):
        watch.found.clear()
        watch.look("a test", f"msg: {text} ...")
        assert watch.found, text


@pytest.mark.parametrize(("role", "interpreter"), [("controlplane", ELSEWHERE), ("worker", sys.executable)])
def test_success_tells_no_secret(trouble: Trouble, watch: Watch, tmp_path: Path, role: str, interpreter: str) -> None:
    run = watched(trouble, watch, tmp_path, "create_node.yml", cluster="fargle", role=role, ansible_python_interpreter=interpreter)
    assert run.code == 0, run.output
    # Modules with a process of their own unpack into files; inside Ansible's worker nothing is written at all.
    assert (run.files > 0) == (interpreter == ELSEWHERE)
    assert run.processes > (interpreter == ELSEWHERE)
    assert watch.found == set()


def test_a_description_tells_no_secret(trouble: Trouble, watch: Watch, tmp_path: Path) -> None:
    """Neither in what it shows nor in its files; all nodes have drifted here. With modules as processes of their own."""
    files = {"html": str(tmp_path / "home" / "cluster.html"), "json": str(tmp_path / "home" / "cluster.json")}
    run = watched(trouble, watch, tmp_path, "describe_cluster.yml", cluster="fargle", ansible_python_interpreter=ELSEWHERE, **files)
    assert run.code == 0, run.output
    described = json.loads(Path(files["json"]).read_text())
    assert described["totals"]["drifted"] == 8
    assert watch.found == set()


def test_a_deletion_tells_no_secret(trouble: Trouble, watch: Watch, tmp_path: Path) -> None:
    run = watched(trouble, watch, tmp_path, "delete_node.yml", cluster="fargle", nodes="fargle-controlplane-3")
    assert run.code == 0, run.output
    assert watch.found == set()


def test_the_events_of_ansible_runner_tell_no_secret(trouble: Trouble, watch: Watch, tmp_path: Path) -> None:
    """AWX keeps them. What runner itself notes of the environment is what it was given."""
    env = {name: value for name, value in trouble.env.items() if name != "PATH"}
    run = ansible_runner.run(
        private_data_dir=str(tmp_path),
        project_dir=str(ROOT),
        playbook="playbooks/create_node.yml",
        extravars={"cluster": "fargle", "role": "controlplane"},
        envvars=env,
        cmdline="--diff",
        verbosity=4,
        quiet=True,
    )
    assert run.status == "successful", "\n".join(event["stdout"] for event in run.events)
    kept = {path: path.read_text() for path in Path(run.config.artifact_dir).rglob("*") if path.is_file()}
    assert sum(path.parent.name == "job_events" for path in kept) > 30
    for path, text in kept.items():
        if path.name == "command":
            text = "\n".join(_made_up((f"{name}={value}" for name, value in json.loads(text)["env"].items()), env))
        watch.look(path.name, text)
    assert watch.found == set()


BROKEN = {
    "a machine config that is not YAML": ("cluster-fargle-machine-worker", lambda text: {"worker.yaml": text.replace("cluster:", "cluster: [", 1)}),
    "a machine config with an unknown field": ("cluster-fargle-machine-worker", lambda text: {"worker.yaml": text.replace("token:", "tokem:")}),
    "a patch of the wrong shape": ("cluster-fargle-patch-worker", lambda _text: {"patch.yaml": json.dumps({"machine": list(PATCH["machine"].items())})}),
    "a kubeconfig that is not one": ("cluster-fargle-kubeconfig", lambda text: {"kubeconfig": text}),
    "a talosconfig that is not one": ("cluster-fargle-talosconfig", lambda text: {"talosconfig": text}),
    "a node config that is not one": ("cluster-fargle-node-worker", lambda text: {"node.yaml": text}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_preflight_failure_tells_no_secret(trouble: Trouble, watch: Watch, tmp_path: Path, what: str) -> None:
    name, spoil = BROKEN[what]
    trouble.store(name, spoil(yaml.safe_dump(secret(trouble.world, "cluster-fargle-machine-worker"))))
    run = watched(trouble, watch, tmp_path, "create_node.yml", cluster="fargle", role="worker")
    assert run.code != 0, run.output
    assert "Nothing was created" in run.output
    assert watch.found == set()


def test_argument_errors_tell_no_secret(trouble: Trouble, watch: Watch, tmp_path: Path) -> None:
    """Inputs given inline, as vaulted variables would be, and of types that the arguments' specification refuses beside them."""
    inputs = {
        "cluster_machine_config": secret(trouble.world, "cluster-fargle-machine-worker"),
        "cluster_patch": PATCH,
        "cluster_kubeconfig": secret(trouble.world, "cluster-fargle-kubeconfig")["kubeconfig"],
        "cluster_talosconfig": secret(trouble.world, "cluster-fargle-talosconfig"),
        "cluster_secret_names": ["not", "a", "mapping"],
        "create_node_wait_timeout": "soon",
    }
    (tmp_path / "inputs.json").write_text(json.dumps(inputs))
    run = watched(trouble, watch, tmp_path, "create_node.yml", "-e", f"@{tmp_path / 'inputs.json'}", cluster="fargle", role="worker")
    assert run.code != 0
    assert "cannot be converted to" in run.output or "unable to convert" in run.output
    assert watch.found == set()
    del inputs["create_node_wait_timeout"]
    (tmp_path / "inputs.json").write_text(json.dumps(inputs))
    (tmp_path / "again").mkdir()
    run = watched(trouble, watch, tmp_path / "again", "create_node.yml", "-e", f"@{tmp_path / 'inputs.json'}", cluster="fargle", role="worker")
    assert run.code != 0
    assert "cannot be converted to" in run.output or "unable to convert" in run.output
    assert watch.found == set()
