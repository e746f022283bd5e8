# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_util is PRIVATE to the collection and may change without notice.

"""Drain nodes: cordon all, evict their pods within a deadline, wait until their volumes are detached."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import threading
import time
import typing as t

from .. import _progress
from .._errors import InputError, ManagerError
from .._outcome import Outcome
from .._plan import Step
from .._wait import Clock, ticks
from . import api as calls
from .client import ATTEMPTS, PAGE, Api, KubernetesError
from .nodes import Node, Wanted, is_unreachable, match_all, ready_text, refuse_foreign
from .pods import Budget, Pod, budget_text, budgets_of, claims, is_terminating, name_of, respects_budgets, treatment

INTERVAL = 1.0
FIRST_DELAY, LONGEST_DELAY = 1.0, 10.0


@dataclasses.dataclass(frozen=True)
class DrainOptions:
    """What k8s_node_drain is asked to do. Times in seconds; grace period None means each pod's own; cordon False: somebody else has.

    concurrency is how many nodes are worked on at a time.
    """

    nodes: list[Wanted]
    timeout: float
    volume_timeout: float = 600.0
    force: bool = False
    delete_emptydir_data: bool = False
    disable_eviction: bool = False
    terminate_grace_period: int | None = None
    unreachable: str = "fail"
    cordon: bool = True
    concurrency: int = 8


@dataclasses.dataclass
class Report:
    """What became of a pod. result: evicted, deleted, gone, skipped, blocked, failed, terminating or (before anything is asked) pending."""

    pod: Pod
    result: str
    reason: str = ""
    next_try: float = 0.0
    delay: float = FIRST_DELAY

    @property
    def is_asked(self) -> bool:
        """Its eviction has been accepted, or somebody else has deleted it."""
        return self.result in ("evicted", "deleted", "gone", "terminating")

    def public(self) -> dict[str, str]:
        """As the module returns it."""
        meta = self.pod["metadata"]
        return {"namespace": meta["namespace"], "name": meta["name"], "result": self.result, "reason": self.reason}


@dataclasses.dataclass
class Job:
    """One Node to drain on behalf of a wanted node. reports is keyed by pod UID: a pod of the same name made anew is another pod."""

    name: str
    node: Node
    pods: list[Pod]
    reports: dict[str, Report] = dataclasses.field(default_factory=dict)

    @property
    def node_name(self) -> str:
        """The Node object's name."""
        return str(self.node["metadata"]["name"])


def work(options: DrainOptions, api: Api, check_mode: bool, clock: Clock = ticks) -> Outcome:
    """Drain the nodes side by side; one that fails stays cordoned and does not stop the others. A node without Node object is drained."""
    outcome = Outcome()
    if options.concurrency < 1:
        raise InputError(f"concurrency: {options.concurrency} is less than 1.")
    if not options.nodes:
        return outcome
    nodes = calls.list_nodes(api)
    matches = match_all(options.nodes, nodes)
    refuse_foreign(matches, outcome)
    jobs = [Job(found.wanted.name, node, []) for found in matches for node in found.found]
    budgets = read_pods(api, jobs, options.concurrency)
    for job in jobs:
        take_stock(job, job.pods, options)
        texts = problems(job, options, budgets)
        if texts:
            outcome.failures[job.name] = "; ".join(texts)
    ready = [job for job in jobs if job.name not in outcome.failures]
    outcome.steps = [step for job in ready for step in plan(job, options)]
    if check_mode:
        outcome.warnings = [text for job in ready for text in predictions(job, options, budgets)]
        foresee(ready, options)
    else:
        carry_out(api, ready, options, budgets, outcome, clock)
    outcome.nodes = report(options.nodes, jobs)
    return outcome


def foresee(jobs: t.Sequence[Job], options: DrainOptions) -> None:
    """In check mode: what would become of the pods."""
    for entry in [entry for job in jobs for entry in job.reports.values() if entry.result == "pending"]:
        entry.result = "deleted" if options.disable_eviction else "evicted"


def report(wanted: t.Sequence[Wanted], jobs: t.Sequence[Job]) -> list[dict[str, t.Any]]:
    """Per node its Node objects and pods."""
    return [
        {
            "name": one.name,
            "node_names": [job.node_name for job in jobs if job.name == one.name],
            "pods": [entry.public() for job in jobs if job.name == one.name for entry in job.reports.values()],
        }
        for one in wanted
    ]


class PodLists:
    """The pods of nodes that are looked at side by side: each round of looks costs a call per node or the pages of all pods, whichever is less."""

    def __init__(self, api: Api, nodes: int, concurrency: int) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._left = nodes
        self._concurrency = concurrency
        self._pages = 1
        # The latest list, when it was read, and the nodes that have looked at it.
        self._by_node: dict[str, list[Pod]] = {}
        self._read_at = -math.inf
        self._seen_by: set[str] = set()

    def of(self, job: Job, attempts: int = ATTEMPTS) -> list[Pod]:
        """The pods of a job's node, never as they were at its last look."""
        with self._lock:
            news = job.node_name not in self._seen_by and time.monotonic() - self._read_at <= INTERVAL
            if not news and min(self._left, self._concurrency) > self._pages:
                self._read_all(attempts)
                news = True
            if news:
                self._seen_by.add(job.node_name)
                return self._by_node.get(job.node_name, [])
        return calls.list_pods(self._api, job.node_name, attempts)

    def finished(self) -> None:
        """One node fewer to look at."""
        with self._lock:
            self._left -= 1

    def _read_all(self, attempts: int) -> None:
        found = calls.list_pods(self._api, attempts=attempts)
        self._pages = max(1, math.ceil(len(found) / PAGE))
        self._by_node, self._read_at, self._seen_by = {}, time.monotonic(), set()
        for pod in found:
            self._by_node.setdefault(pod["spec"].get("nodeName") or "", []).append(pod)


def read_pods(api: Api, jobs: t.Sequence[Job], concurrency: int) -> list[Budget]:
    """Fill in the pods of all jobs and return all disruption budgets."""
    if not jobs:
        return []
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        for job, found in zip(jobs, pool.map(PodLists(api, len(jobs), concurrency).of, jobs)):  # noqa: B905 - map keeps length
            job.pods = found
    return calls.list_budgets(api)


def take_stock(job: Job, pods: t.Sequence[Pod], options: DrainOptions) -> list[Report]:
    """Note pods not seen before, and those that are gone; return the reports of those that still have to go."""
    present = {pod["metadata"]["uid"] for pod in pods}
    for uid, entry in job.reports.items():
        if uid not in present and entry.result not in ("skipped", "evicted", "deleted"):
            entry.result = "gone"
    waiting = []
    for pod in pods:
        verdict = treatment(pod, options.force, options.delete_emptydir_data)
        uid = pod["metadata"]["uid"]
        first = "skipped" if not verdict.evict else "terminating" if is_terminating(pod) else "failed" if verdict.problem else "pending"
        entry = job.reports.setdefault(uid, Report(pod, first, verdict.problem or verdict.reason))
        entry.pod = pod
        if verdict.evict:
            waiting.append(entry)
        else:
            entry.result, entry.reason = "skipped", verdict.reason
    return waiting


def problems(job: Job, options: DrainOptions, budgets: t.Sequence[Budget]) -> list[str]:
    """Why this node must not be touched as things are: known before anything is changed."""
    texts = [entry.reason for entry in job.reports.values() if entry.result == "failed"]
    if is_unreachable(job.node) and options.unreachable != "force":
        texts.append(
            f"its kubelet does not answer ({ready_text(job.node)}), so no pod can be seen to stop. "
            "If the machine is dead and will be terminated, say unreachable=force"
        )
    if not options.disable_eviction:
        texts += [two_budgets_text(e.pod, budgets) for e in job.reports.values() if e.result == "pending" and has_two_budgets(e.pod, budgets)]
    return texts


def has_two_budgets(pod: Pod, budgets: t.Sequence[Budget]) -> bool:
    """The eviction API refuses such a pod for ever, with HTTP 500."""
    return respects_budgets(pod) and len(budgets_of(pod, budgets)) > 1


def two_budgets_text(pod: Pod, budgets: t.Sequence[Budget]) -> str:
    """Names both budgets and the way out."""
    return (
        f"pod {name_of(pod)} is covered by {budget_text(budgets_of(pod, budgets))}: the eviction API refuses a pod with more than one. "
        "Let one of them not select it, or say disable_eviction=true"
    )


def plan(job: Job, options: DrainOptions) -> list[Step]:
    """The changes to one node (pure)."""
    steps = []
    if options.cordon and not job.node.get("spec", {}).get("unschedulable"):
        steps.append(Step("cordon", job.name, f"node/{job.node_name}", before={"unschedulable": False}, after={"unschedulable": True}))
    verb = "delete" if options.disable_eviction else "evict"
    for entry in job.reports.values():
        if entry.result == "pending":
            steps.append(Step(verb, job.name, f"pod/{name_of(entry.pod)}", before={"node": job.node_name}))
    return steps


def predictions(job: Job, options: DrainOptions, budgets: t.Sequence[Budget]) -> list[str]:
    """Budgets that would hold the drain up right now."""
    if options.disable_eviction:
        return []
    texts = []
    for entry in job.reports.values():
        tight = [b for b in budgets_of(entry.pod, budgets) if (b.get("status") or {}).get("disruptionsAllowed") == 0]
        if entry.result == "pending" and respects_budgets(entry.pod) and tight:
            texts.append(f"{job.name}: pod {name_of(entry.pod)} cannot be evicted now: {budget_text(tight)} allows no disruption")
    return texts


def carry_out(api: Api, jobs: list[Job], options: DrainOptions, budgets: list[Budget], outcome: Outcome, clock: Clock) -> None:
    """Cordon all before the first eviction, so that no pod moves from one doomed node to the next; then evict side by side."""

    def turn(job: Job) -> None:
        try:
            empty(api, pods, job, options, budgets, clock, progress)
            progress.arrived(job.name)
        except ManagerError:
            progress.failed(job.name)
            raise
        finally:
            pods.finished()

    with _progress.wait("empty", [job.name for job in jobs]) as progress, concurrent.futures.ThreadPoolExecutor(options.concurrency) as pool:
        for_all(pool, lambda job: cordon(api, job), jobs if options.cordon else [], outcome)
        cordoned = [job for job in jobs if job.name not in outcome.failures]
        pods = PodLists(api, len(cordoned), options.concurrency)  # anew: what was read before the nodes were cordoned says nothing
        for_all(pool, turn, cordoned, outcome)
    drained = [job for job in jobs if job.name not in outcome.failures and not is_unreachable(job.node)]
    wait_detached(api, drained, options, outcome, clock)


def for_all(pool: concurrent.futures.Executor, act: t.Callable[[Job], None], jobs: t.Sequence[Job], outcome: Outcome) -> None:
    """Do something for all jobs in threads; an error fails its node only."""
    for job, future in [(job, pool.submit(act, job)) for job in jobs]:
        try:
            future.result()
        except ManagerError as error:
            outcome.failures[job.name] = f"{error}{cordoned_text(job)}"


def cordoned_text(job: Job) -> str:
    """What is left behind after a failure."""
    return f" Node {job.node_name} stays cordoned: run again, or `kubectl uncordon {job.node_name}`."


def cordon(api: Api, job: Job) -> None:
    """Make the node unschedulable unless it is."""
    if not job.node.get("spec", {}).get("unschedulable"):
        calls.cordon(api, job.node_name)


def empty(api: Api, pods: PodLists, job: Job, options: DrainOptions, budgets: list[Budget], clock: Clock, progress: _progress.Wait) -> None:
    """Evict until the node has no pod left that has to go; raise ManagerError naming those left at the deadline.

    On an unreachable node (unreachable=force) every pod is asked for once: nobody is there to stop it, its replacement is what counts.
    """
    waiting: list[Report] = []
    trouble: KubernetesError | None = None
    for elapsed in clock(options.timeout, INTERVAL):
        try:
            waiting, trouble = take_stock(job, pods.of(job, attempts=1), options), None
        except KubernetesError as error:
            if not error.transient:
                raise
            trouble = error
            continue
        ask_due(api, waiting, options, budgets, elapsed)
        if waiting:
            progress.at(job.name, "draining", f"{len(waiting)} pods left")
        hopeless = all(entry.result == "failed" for entry in waiting)
        if hopeless or is_unreachable(job.node):
            break
    if trouble:
        raise trouble
    if waiting and not is_unreachable(job.node):
        raise ManagerError(left_text(waiting, options.timeout))


def ask_due(api: Api, waiting: t.Sequence[Report], options: DrainOptions, budgets: list[Budget], elapsed: float) -> None:
    """Ask for the pods whose turn it is; at the deadline for all that have not gone."""
    for entry in waiting:
        if entry.result in ("pending", "blocked") and (elapsed >= options.timeout or entry.next_try <= elapsed):
            ask(api, entry, options, budgets, elapsed)


def ask(api: Api, entry: Report, options: DrainOptions, budgets: list[Budget], elapsed: float) -> None:
    """Ask once for a pod to go and note the answer."""
    try:
        if options.disable_eviction:
            calls.delete_pod(api, entry.pod, options.terminate_grace_period)
        else:
            calls.evict(api, entry.pod, options.terminate_grace_period)
    except KubernetesError as error:
        refused(entry, error, budgets, elapsed)
    else:
        entry.result, entry.reason = ("deleted" if options.disable_eviction else "evicted"), ""


def refused(entry: Report, error: KubernetesError, budgets: list[Budget], elapsed: float) -> None:
    """What an error says about a pod: gone, to be tried again, or never."""
    if error.status == 404:
        entry.result, entry.reason = "gone", ""
        return
    if error.status == 500 and has_two_budgets(entry.pod, budgets):
        entry.result, entry.reason = "failed", two_budgets_text(entry.pod, budgets)
        return
    ending = any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes)
    # 409: another pod has its name by now, which the next look at the node shows, or the budget was being changed.
    if not error.transient and not ending and error.status != 409:
        entry.result, entry.reason = "failed", str(error)
        return
    entry.result, entry.reason = "blocked", blocked_text(entry.pod, error, budgets)
    entry.next_try = elapsed + max(entry.delay, error.retry_after or 0)
    entry.delay = min(entry.delay * 2, LONGEST_DELAY)


def blocked_text(pod: Pod, error: KubernetesError, budgets: t.Sequence[Budget]) -> str:
    """Which budget refuses, in the API's own words when it gives them."""
    causes = [str(cause.get("message")) for cause in error.causes if cause.get("reason") == "DisruptionBudget"]
    if error.status != 429 or not (causes or budgets_of(pod, budgets)):
        return str(error)
    said = f": {'; '.join(causes)}" if causes else ""
    return f"blocked by {budget_text(budgets_of(pod, budgets)) or 'a disruption budget'}{said}"


def left_text(waiting: t.Sequence[Report], timeout: float) -> str:
    """The pods that are still there, each with its reason."""
    lines = "; ".join(f"pod {name_of(entry.pod)}: {entry.reason or entry.result + ', but still there'}" for entry in waiting)
    return f"not drained within {timeout:g} s: {lines}."


def wait_detached(api: Api, jobs: t.Sequence[Job], options: DrainOptions, outcome: Outcome, clock: Clock) -> None:
    """Wait until no volume is attached to the drained nodes, except those of pods that stay (DaemonSets)."""
    if not jobs:
        return
    try:
        attached = read_attached(api, jobs, options, clock)
    except KubernetesError as error:
        outcome.failures.update({job.name: f"{error}{cordoned_text(job)}" for job in jobs})
        return
    for job in jobs:
        if job.node_name in attached:
            volumes = ", ".join(attached[job.node_name])
            outcome.failures[job.name] = f"volumes still attached after {options.volume_timeout:g} s: {volumes}.{cordoned_text(job)}"


def read_attached(api: Api, jobs: t.Sequence[Job], options: DrainOptions, clock: Clock) -> dict[str, list[str]]:
    """Node name → volumes still attached at the deadline; empty as soon as there are none. Raises KubernetesError if that could not be seen."""
    kept = kept_volumes(api, jobs)
    attached: dict[str, list[str]] = {}
    trouble: KubernetesError | None = None
    with _progress.wait("without volumes", [job.name for job in jobs]) as progress:
        for _elapsed in clock(options.volume_timeout, INTERVAL):
            try:
                attached, trouble = attached_volumes(api, jobs, kept), None
            except KubernetesError as error:
                if not error.transient:
                    raise
                trouble = error
                continue
            for job in jobs:
                if job.node_name in attached:
                    progress.at(job.name, "detaching", f"{len(attached[job.node_name])} volumes")
                else:
                    progress.arrived(job.name, "detached")
            if not attached:
                break
    if trouble:
        raise trouble
    return attached


def attached_volumes(api: Api, jobs: t.Sequence[Job], kept: set[str]) -> dict[str, list[str]]:
    """Node name → volumes attached to it, of the drained nodes."""
    names = {job.node_name for job in jobs}
    found: dict[str, list[str]] = {}
    for attachment in calls.list_volume_attachments(api, attempts=1):
        spec = attachment.get("spec", {})
        volume = (spec.get("source") or {}).get("persistentVolumeName") or attachment["metadata"]["name"]
        if spec.get("nodeName") in names and volume not in kept:
            found.setdefault(spec["nodeName"], []).append(volume)
    return found


def kept_volumes(api: Api, jobs: t.Sequence[Job]) -> set[str]:
    """Persistent volumes of the pods that a drain leaves running."""
    staying = [entry.pod for job in jobs for entry in job.reports.values() if entry.result == "skipped" and entry.reason != "finished"]
    wanted = sorted({claim for pod in staying for claim in claims(pod)})
    return {calls.volume_of_claim(api, namespace, name) for namespace, name in wanted} - {""}
