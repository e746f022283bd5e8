# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated Kubernetes API per cluster, with the controllers and kubelets that make its objects move.

Simulated durations (ledger delays, seconds; `{"*": 0}` makes those with a default zero):

* `node.monitor` 0.5: a silent kubelet until its Node is Unknown and tainted unreachable
* `pod.toleration` up to 2: how long pods bear a NoExecute taint that they tolerate for a time
* `pod.start` 0.1, `pod.terminating` 0.2: a pod's start, and its stop (at most its grace)
* `pod.gc` 0.3: pods of a vanished Node until they are collected
* `volume.detach` 0.5: a volume after its pod is gone, or after the VM's end

Read by their exact names only, since zero means something else than "at once":

* `kubelet.reregister`: seconds until a live kubelet whose Node was deleted registers again (unset or negative: never, as the real one)
* `etcd.compaction` 300: how long a continue token lives

Annotations on pods, for tests: `sandbox/stops-after: "5"` (seconds, at most the grace, whatever the delays say) and `sandbox/never-ready: "1"`.
"""

from .part import PORT, VERSION, KubernetesStore

__all__ = ["PORT", "VERSION", "KubernetesStore"]
