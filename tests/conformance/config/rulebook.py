# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases by hand: for each rule the smallest base and patches that show it, where made cases hardly come across it. `make mutants` tells what is missing."""

from __future__ import annotations

import json
import typing as t

from .cases import Case

M = "machine: {type: worker}\n"


def doc(kind: str, body: str = "", name: str = "") -> str:
    """A document in one line: its kind, the rest of its body, its name."""
    return f"{{apiVersion: v1alpha1, kind: {kind}{f', name: {name}' if name else ''}{', ' + body if body else ''}}}\n"


def docs(*texts: str) -> str:
    """One text of several documents."""
    return "---\n".join(texts)


def machine(body: str) -> str:
    """The legacy document with this in its machine section."""
    return f"machine: {{{body}}}\n"


def cluster(body: str) -> str:
    """The legacy document with this in its cluster section."""
    return f"machine: {{}}\ncluster: {{{body}}}\n"


def network(body: str) -> str:
    """The legacy document with these interfaces."""
    return machine(f"network: {{interfaces: {body}}}")


def words(text: str) -> list[str]:
    """The parts of a text between bars."""
    return text.split(" | ")


DELETE = "$patch: delete"
LINK, VOLUME, RULE = "LinkConfig", "VolumeConfig", "RoutingRuleConfig"

# (base, patches...)
MERGE: tuple[tuple[str, ...], ...] = (
    # what is zero or absent
    (machine("kubelet: {image: a}"), machine("kubelet: {image: ''}"), machine("kubelet: {image: b}"), machine("kubelet: {}")),
    (machine("kubelet: {image: ''}"), machine("kubelet: {image: ''}")),
    (machine("install: {wipe: true}"), machine("install: {wipe: false}"), machine("install: {wipe: null}")),
    (machine("network: {kubespan: {mtu: 1400}}"), machine("network: {kubespan: {mtu: 0}}")),
    (machine("network: {kubespan: {enabled: true}}"), machine("network: {kubespan: {mtu: 0}}")),
    (machine("network: {kubespan: {mtu: 0}}"), machine("network: {kubespan: {mtu: 1400}}")),
    (machine("time: {bootTimeout: 1m}"), machine("time: {bootTimeout: 0s}")),
    (machine("features: {kubePrism: {enabled: true, port: 7445}}"), machine("features: {kubePrism: {enabled: false, port: 0}}")),
    (doc("NetworkDefaultActionConfig", "ingress: block"), doc("NetworkDefaultActionConfig", "ingress: accept")),
    (doc("NetworkDefaultActionConfig"), doc("NetworkDefaultActionConfig", "ingress: accept")),
    (doc("NetworkDefaultActionConfig"), doc("NetworkDefaultActionConfig", "ingress: block")),
    (doc("BondConfig", "links: [a], bondMode: 802.3ad, miimon: 100", "bond0"), doc("BondConfig", "bondMode: balance-rr, miimon: 0", "bond0")),
    (doc("BondConfig", "links: [a], hardwareAddr: '00:01:02:03:04:05'", "bond0"), doc("BondConfig", "hardwareAddr: ''", "bond0")),
    (doc("DHCPv4Config", "ignoreHostname: true", "eth0"), doc("DHCPv4Config", "routeMetric: 0", "eth0"), doc("DHCPv4Config", "ignoreHostname: false", "eth0")),
    (doc("ZswapConfig", "maxPoolPercent: 20"), doc("ZswapConfig", "maxPoolPercent: 0")),
    (network("[{interface: a, bond: {numPeerNotif: 3, adActorSysPrio: 5}}]"), network("[{interface: a, bond: {numPeerNotif: 0, adActorSysPrio: 0}}]")),
    (machine("install: {diskSelector: {type: nvme}}"), machine("install: {diskSelector: {type: ssd}}")),
    (machine("install: {diskSelector: {type: nvme}}"), machine("install: {diskSelector: {type: ''}}")),
    (machine("systemDiskEncryption: {state: {keySize: 512}}"), machine("systemDiskEncryption: {state: {keySize: 0}}")),
    *((doc("EtcFileConfig", "mode: 0o644", "a"), doc("EtcFileConfig", f"mode: {mode}", "a")) for mode in ("0o600", "0")),
    (doc("ContainerConfig", "runAs: {uid: 1000, gid: 1000}", "a"), doc("ContainerConfig", "runAs: {uid: 0, gid: 2000}", "a")),
    # pointers and structs
    (machine("registries: {}"), machine("registries: {mirrors: {a: {endpoints: ['http://b']}}}")),
    (cluster("discovery: {enabled: true}"), cluster("discovery: {registries: {service: {endpoint: 'https://x'}}}")),
    (cluster("discovery: {registries: {kubernetes: {disabled: true}}}"), cluster("discovery: {registries: {service: {}}}")),
    (cluster("etcd: null"), cluster("etcd: {image: a}"), cluster("etcd: {}"), cluster("etcd: null")),
    # maps
    (machine("sysctls: {a: '1'}"), machine("sysctls: {a: '', b: ''}"), machine("sysctls: {a: null, c: null}")),
    (machine("registries: {mirrors: {a: null}}"), machine("registries: {mirrors: {a: {endpoints: ['http://b']}}}")),
    (machine("registries: {mirrors: {a: {endpoints: ['http://b']}}}"), machine("registries: {mirrors: {a: null, c: null}}")),
    (machine("registries: {mirrors: {a: {endpoints: ['http://b']}}}"), machine("registries: {mirrors: {a: {overridePath: true, endpoints: ['http://c']}}}")),
    (
        machine("kubelet: {extraArgs: {a: '1', b: '2'}}"),
        machine("kubelet: {extraArgs: {a: '', b: null, c: ''}}"),
        machine("kubelet: {extraArgs: {c: '3', a: '4'}}"),
    ),
    (machine("kubelet: {extraArgs: {a: '1'}}"), machine("kubelet: {extraArgs: {a: '', c: ''}}")),
    (machine("kubelet: {extraArgs: {a: [x, y]}}"), machine("kubelet: {extraArgs: {a: [z]}}"), machine("kubelet: {extraArgs: {a: w}}")),
    (doc("EthernetConfig", "features: {a: true, b: false}", "eth0"), doc("EthernetConfig", "features: {a: false, b: true, c: null}", "eth0")),
    # URLs
    *(
        (cluster(f"controlPlane: {{endpoint: '{old}'}}"), cluster(f"controlPlane: {{endpoint: '{new}'}}"))
        for old, new in (
            ("https://a:1/", "https://b"),
            ("https://a:1/x?y=1#z", "http://b:2"),
            ("https://a:1/x?y=1#z", "//b"),
            ("https://a:1/x?y=1#z", "/p"),
            ("https://a:1/x?y=1#z", "?q=2"),
            ("https://a:1/x?y=1#z", "?"),
            ("https://a:1/x?y=1#z", "#f"),
            ("https://a:1", ""),
            ("", "https://a:1"),
            ("https://u:p@a:1", "https://b"),
            ("https://a:1", "https://u@b"),
            ("https://u:p@a:1", "https://v@b"),
            ("https://u:p@a:1", "https://@b"),
            ("mailto:x", "https://b"),
            ("https://a", "mailto:x"),
            ("https://a/b", "tcp:/c"),
            ("/a", "b"),
            ("https://a:1", "b"),
            ("https://a:1/x", "./b:c"),
            ("a", "https:"),
        )
    ),
    (cluster("controlPlane: {localAPIServerPort: 1}"), cluster("controlPlane: {endpoint: 'https://b'}"), cluster("controlPlane: {endpoint: null}")),
    (doc("KmsgLogConfig", "url: 'tcp://a:1'", "k"), doc("KmsgLogConfig", "url: 'udp://b'", "k"), doc("KmsgLogConfig", name="k")),
    # sizes and what an absent value clears
    (doc(VOLUME, "provisioning: {maxSize: 10GB, minSize: 1GB}", "EPHEMERAL"), doc(VOLUME, "provisioning: {grow: true}", "EPHEMERAL")),
    (doc(VOLUME, "provisioning: {maxSize: 10GB}", "EPHEMERAL"), doc(VOLUME, "provisioning: {maxSize: 50%}", "EPHEMERAL")),
    (doc(VOLUME, "provisioning: {maxSize: 50%}", "EPHEMERAL"), doc(VOLUME, "provisioning: {maxSize: 10GB}", "EPHEMERAL")),
    (doc(VOLUME, "provisioning: {maxSize: 50%}", "EPHEMERAL"), doc(VOLUME, "provisioning: {maxSize: 60%}", "EPHEMERAL"), doc(VOLUME, name="EPHEMERAL")),
    (doc(VOLUME, "provisioning: {minSize: 1GB}", "EPHEMERAL"), doc(VOLUME, "provisioning: {minSize: 2GB}", "EPHEMERAL")),
    (doc(VOLUME, "provisioning: {minSize: 1GB}", "EPHEMERAL"), doc(VOLUME, "provisioning: {minSize: ''}", "EPHEMERAL")),
    (doc(VOLUME, name="EPHEMERAL"), doc(VOLUME, "provisioning: {minSize: 2GB, maxSize: 3GB}", "EPHEMERAL")),
    (doc(VOLUME, "provisioning: {diskSelector: {match: 'disk.size > 1u'}}", "EPHEMERAL"), doc(VOLUME, "provisioning: {grow: false}", "EPHEMERAL")),
    (doc(VOLUME, "encryption: {provider: luks2}", "EPHEMERAL"), doc(VOLUME, "provisioning: {diskSelector: {match: system_disk}}", "EPHEMERAL")),
    # addresses
    (doc(RULE, "src: 10.0.0.0/8, table: '99'", "1001"), doc(RULE, "table: '98'", "1001")),
    (doc(RULE, "table: '99'", "1001"), doc(RULE, "src: 10.0.0.0/8", "1001")),
    (doc(RULE, "src: 10.0.0.0/8", "1001"), doc(RULE, "src: 10.0.0.0/9, dst: 10.1.0.0/16", "1001")),
    (doc(RULE, "src: 10.0.0.0/8", "1001"), doc(RULE, "src: ''", "1001")),
    (doc("BGPInstanceConfig", "routerID: 10.0.0.1, localASN: 1", "b"), doc("BGPInstanceConfig", "routerID: 10.0.0.2, localASN: 0, maxPaths: 3", "b")),
    (doc("BGPInstanceConfig", "routerID: 10.0.0.1", "b"), doc("BGPInstanceConfig", "localASN: 5", "b")),
    # what cannot merge
    (machine("install: {diskSelector: {size: 4GB}}"), machine("install: {diskSelector: {size: 5GB}}")),
    (machine("install: {diskSelector: {size: 4GB}}"), machine("install: {diskSelector: {model: x}}")),
    (machine("install: {diskSelector: {model: x}}"), machine("install: {diskSelector: {size: '>= 5GB'}}")),
    # lists
    (machine("certSANs: [a]"), machine("certSANs: [a, b]"), machine("certSANs: []"), machine("certSANs: null")),
    (cluster("network: {podSubnets: [a], serviceSubnets: [b]}"), cluster("network: {podSubnets: [], serviceSubnets: null}")),
    (cluster("network: {podSubnets: [a]}"), cluster("network: {podSubnets: [c, d]}")),
    # untyped data
    *(
        (machine(f"kubelet: {{extraConfig: {old}}}"), machine(f"kubelet: {{extraConfig: {new}}}"))
        for old, new in (
            ("{a: 1}", "{a: 2, b: 3}"),
            ("{a: 1}", "{a: 0}"),
            ("{a: x}", "{a: ''}"),
            ("{a: true}", "{a: false}"),
            ("{a: 1.5}", "{a: 0.0}"),
            ("{a: 1.5}", "{a: 2.5}"),
            ("{a: 1.5}", "{a: 2}"),
            ("{a: 1}", "{a: x}"),
            ("{a: x}", "{a: 1}"),
            ("{a: x}", "{a: true}"),
            ("{a: {b: 1}}", "{a: [1]}"),
            ("{a: [1]}", "{a: {b: 1}}"),
            ("{a: [1]}", "{a: [2, 3]}"),
            ("{a: [1]}", "{a: []}"),
            ("{a: {b: 1}}", "{a: {c: 2}}"),
            ("{a: {b: 1}}", "{a: {}}"),
            ("{a: 1}", "{a: null}"),
            ("{a: null}", "{a: 1}"),
            ("{a: null}", "{a: null}"),
            ("{}", "{a: null}"),
            ("{a: {b: null}}", "{a: {b: {c: 1}}}"),
            ("null", "{a: 1}"),
            ("{a: 1}", "null"),
            ("{a: 1}", "{}"),
            ("{a: 2024-01-01}", "{a: 2024-01-02}"),
            ("{a: 1}", "{b: 2024-01-02}"),
            ("{a: 2024-01-01}", "{b: 1}"),
            ("{a: {b: [2024-01-01]}}", "{c: 1}"),
            ("{a: '2024-01-01'}", "{b: '2024-01-01'}"),
            ("{<<: {a: 1}, b: 2}", "{b: 3}"),
            ("{<<: [{a: 1}, {a: 2, c: 3}], a: 4}", "{b: 3}"),
            ("{<<: x}", "{b: 3}"),
        )
    ),
    (cluster("apiServer: {auditPolicy: {a: {b: 1}}}"), cluster("apiServer: {auditPolicy: {a: {c: 1}}}"), cluster("apiServer: {auditPolicy: {}}")),
    # items that meet
    (network("[{interface: a, mtu: 1}]"), network("[{interface: a, mtu: 2}, {interface: b}]"), network("[{interface: b, dhcp: true}, {interface: b, mtu: 9}]")),
    (network("[{interface: a}]"), network("[{deviceSelector: {busPath: x}}]"), network("[{deviceSelector: {busPath: x}, mtu: 9}]")),
    (network("[{deviceSelector: {busPath: x}}]"), network("[{deviceSelector: {busPath: y}, mtu: 9}]")),
    (network("[{deviceSelector: {physical: true}}]"), network("[{deviceSelector: {physical: true}, mtu: 9}]")),
    (network("[{deviceSelector: {}}]"), network("[{deviceSelector: {}, mtu: 9}]")),
    (network("[{interface: a, deviceSelector: {busPath: x}}]"), network("[{deviceSelector: {busPath: x}, mtu: 9}]")),
    (network("[{interface: a, deviceSelector: {busPath: x}}]"), network("[{interface: b, deviceSelector: {busPath: x}, mtu: 9}]")),
    (network("[{interface: a}, {}]"), network("[{mtu: 9}]"), network("[{interface: '', mtu: 8}]")),
    (network("[null, {interface: a}]"), network("[{interface: a, mtu: 9}]")),
    (network("[{interface: a}]"), network("[null, {interface: a, mtu: 9}]")),
    (network("[{interface: a}, null]"), network("[{interface: a, mtu: 9}]")),
    (network("[{interface: a}, null]"), network("[]")),
    (network("[]"), network("[null]")),
    (M, network("[null]")),
    (machine("network: {hostname: h}"), network("[null]"), network("[{interface: a}]")),
    (machine("network: {hostname: h}"), network("[{interface: a}, {interface: a, mtu: 9}]")),
    (network("[{interface: a, vlans: [null, {vlanId: 1}]}]"), network("[{interface: a, vlans: [{vlanId: 1, mtu: 9}]}]")),
    (network("[{interface: a, vlans: [{vlanId: 1}]}]"), network("[{interface: a, vlans: [null]}]")),
    (network("[{interface: a, vlans: [{vlanId: 1}, null]}]"), network("[{interface: a, vlans: [{vlanId: 1, mtu: 9}]}]")),
    (cluster("apiServer: {admissionControl: [null, {name: a}]}"), cluster("apiServer: {admissionControl: [{name: a, configuration: {x: 1}}]}")),
    (cluster("apiServer: {admissionControl: [{name: a}]}"), cluster("apiServer: {admissionControl: [null, {name: a}]}")),
    (network("[{interface: a, vlans: [{vlanId: 1}]}]"), network("[{interface: a, vlans: [{vlanId: 1, mtu: 9}, {vlanId: 2}]}]")),
    (network("[{interface: a, vlans: [{vlanId: 0}]}]"), network("[{interface: a, vlans: [{mtu: 9}]}]")),
    (
        network("[{interface: a, vlans: [{vlanId: 3, addresses: [1.1.1.1/8]}]}]"),
        network("[{interface: a, vlans: [{vlanId: 3, addresses: [2.2.2.2/8]}, {vlanId: 3, mtu: 7}]}]"),
    ),
    (
        cluster("apiServer: {admissionControl: [{name: a, configuration: {x: 1}}]}"),
        cluster("apiServer: {admissionControl: [{name: a, configuration: {y: 2}}, {name: b}]}"),
    ),
    (
        cluster("apiServer: {admissionControl: [{name: a, configuration: {x: [1]}}]}"),
        cluster("apiServer: {admissionControl: [{name: a, configuration: {x: [2]}}]}"),
    ),
    (cluster("apiServer: {admissionControl: [{configuration: {x: 1}}]}"), cluster("apiServer: {admissionControl: [{configuration: {x: 2}}]}")),
    (
        doc("ExtensionServiceConfig", "configFiles: [{content: a, mountPath: /a}]", "e"),
        doc("ExtensionServiceConfig", "configFiles: [{content: b, mountPath: /a}, {content: c, mountPath: /b}]", "e"),
    ),
    (
        doc("ExtensionServiceConfig", "environment: [A=1]", "e"),
        doc("ExtensionServiceConfig", "environment: [A=2]", "e"),
        doc("ExtensionServiceConfig", name="f"),
    ),
    (
        doc("ImageVerificationConfig", "rules: [{image: a, skip: true}]"),
        doc("ImageVerificationConfig", "rules: [{image: a, deny: true}, {image: b, skip: true}]"),
    ),
    (
        doc("ImageVerificationConfig", "rules: [{image: a, skip: true}]"),
        doc("ImageVerificationConfig", "rules: [{image: b, deny: true}, {image: b, skip: true}]"),
    ),
    (
        doc("ResolverConfig", "searchDomains: {domains: [a]}"),
        doc("ResolverConfig", "searchDomains: {domains: [b]}"),
        doc("ResolverConfig", "searchDomains: {domains: []}"),
    ),
    # certificates
    (machine("ca: {crt: YQ==, key: Yg==}"), machine("ca: {crt: Yw==}"), machine("ca: {}")),
    (machine("ca: {crt: YQ==, key: Yg==}"), machine("ca: null"), machine("ca: {key: Yw==}")),
    (machine("acceptedCAs: [{crt: YQ==}]"), machine("acceptedCAs: [{crt: YQ==}, {crt: Yg==}]"), machine("acceptedCAs: [{key: YQ==}]")),
    # an empty mapping for an address; encryption in both styles
    (doc("KubeSpanEndpointsConfig", "extraAnnouncedEndpoints: ['10.0.0.1:80', {}]"), doc("KubeSpanEndpointsConfig", "extraAnnouncedEndpoints: [{}]")),
    (
        docs(machine("systemDiskEncryption: {ephemeral: {}}"), doc("VolumeConfig", "encryption: {provider: luks2}", "EPHEMERAL")),
        doc("VolumeConfig", "encryption: {keys: [{slot: 0, nodeID: {}}]}", "EPHEMERAL"),
    ),
)

DELETES: tuple[tuple[str, ...], ...] = (
    # what a document says beside its deletes
    *(
        (docs(M, doc(LINK, "mtu: 9, up: true", "eth0")), text)
        for text in (
            doc(LINK, DELETE, "eth0"),
            doc(LINK, DELETE, "eth1"),
            doc(LINK, DELETE),
            doc(LINK, f"{DELETE}, mtu: 8", "eth0"),
            doc(LINK, f"mtu: {{{DELETE}}}", "eth0"),
            doc(LINK, f"mtu: {{{DELETE}}}, up: false", "eth0"),
            doc(LINK, f"mtu: {{{DELETE}}}", "eth1"),
            doc(LINK, f"mtu: {{{DELETE}}}, up: true", "eth1"),
            doc(LINK, f"mut: {{{DELETE}}}", "eth0"),
            doc(LINK, f"addresses: {{{DELETE}}}", "eth0"),
            doc(LINK, f"name: {{{DELETE}}}"),
            doc(LINK, "mtu: {$patch: replace}", "eth0"),
            doc(LINK, "mtu: {$patch: {delete: 1}}", "eth0"),
            doc(LINK, "mtu: {$patch: delete, a: 1}", "eth0"),
            doc(LINK, "$patch: [delete]", "eth0"),
            f"{{kind: {LINK}, name: eth0, {DELETE}}}\n",
            f"{{apiVersion: v1alpha1, name: eth0, {DELETE}}}\n",
            f"{{apiVersion: v1alpha2, kind: {LINK}, name: eth0, {DELETE}}}\n",
            f"{{apiVersion: v1alpha2, kind: {LINK}, name: eth0, mtu: {{{DELETE}}}}}\n",
            f"{{kind: {LINK}, name: eth0, mtu: {{{DELETE}}}}}\n",
            f"{{apiVersion: v1alpha1, kind: Nothing, {DELETE}}}\n",
            f"{{{DELETE}}}\n",
            docs(doc(LINK, DELETE, "eth0"), doc(LINK, "mtu: 7", "eth0")),
            docs(doc(LINK, "mtu: 7", "eth0"), doc(LINK, DELETE, "eth0")),
            docs(doc(LINK, DELETE, "eth0"), doc(LINK, DELETE, "eth0")),
            docs(doc(LINK, "mtu: 7", "eth0"), f"machine: {{type: {{{DELETE}}}}}\n"),
            docs(doc(LINK, f"mtu: {{{DELETE}}}", "eth0"), "machine: {install: {disk: a}}\n"),
            docs(doc(LINK, "mtu: 7", "eth0"), "machine: {type: controlplane}\n", f"machine: {{type: {{{DELETE}}}}}\n"),
        )
    ),
    (docs(doc(LINK, "mtu: 9", "eth0"), doc(LINK, "mtu: 8", "eth1")), doc(LINK, DELETE, "eth0"), doc(LINK, DELETE, "eth1")),
    # what is refused first
    (docs(machine("kubelet: {extraConfig: {a: 1}}"), doc(LINK, name="a")), docs(doc(LINK, DELETE, "b"), machine("kubelet: {extraConfig: {a: x}}"))),
    (
        docs(machine("kubelet: {extraConfig: {a: 1}}"), doc("EventSinkConfig", "endpoint: '1.2.3.4:5'")),
        docs(doc("EventSinkConfig", f"nothing: {{{DELETE}}}"), machine("kubelet: {extraConfig: {a: x}}")),
    ),
    (docs(M, doc("HostnameConfig", "hostname: a")), doc("HostnameConfig", DELETE)),
    (docs(M, doc("HostnameConfig", "hostname: a")), doc("HostnameConfig", DELETE, "odd")),
    (docs(M, doc("HostnameConfig", "hostname: a")), docs(doc("HostnameConfig", DELETE), doc("HostnameConfig", "hostname: b"))),
    *(
        (base, f"{patch}\n")
        for base in (
            "version: v1alpha1\nmachine:\n  type: worker\n  certSANs: [a, b]\n  sysctls: {x: '1', y: '2'}\n  network:\n    "
            "hostname: h\n    interfaces: [{interface: eth0, mtu: 9}, "
            "{interface: eth1, vlans: [{vlanId: 5}, {vlanId: 6}]}]\n  kubelet: {extraConfig: {a: 1, b: {c: 2, d: [1]}}, "
            "image: i}\n  registries: {mirrors: {m: {endpoints: ['http://e']}, n: null}}\n"
            "cluster: {controlPlane: {endpoint: 'https://a:1'}, discovery: {enabled: true}}\n",
        )
        for patch in (
            f"machine: {{{DELETE}}}",
            f"cluster: {{{DELETE}}}",
            f"version: {{{DELETE}}}",
            f"machine: {{type: {{{DELETE}}}}}",
            f"version: v1alpha1\nmachine: {{type: {{{DELETE}}}}}",
            f"version: [a]\nmachine: {{type: {{{DELETE}}}}}",
            f"machine: {{type: {{{DELETE}}}, token: t}}",
            f"machine: {{type: {{{DELETE}}}}}\ncluster: {{token: t}}",
            f"machine: {{token: {{{DELETE}}}}}",
            f"machine: {{nothing: {{{DELETE}}}}}",
            f"machine: {{certSANs: {{{DELETE}}}}}",
            f"machine: {{certSANs: [{{{DELETE}}}]}}",
            f"machine: {{certSANs: [{{a: b, {DELETE}}}]}}",
            f"machine: {{certSANs: [{{{DELETE}, a: b}}, c]}}",
            f"machine: {{certSANs: {{a: {{{DELETE}}}}}}}",
            f"machine: {{sysctls: {{{DELETE}}}}}",
            f"machine: {{sysctls: {{x: {{{DELETE}}}}}}}",
            f"machine: {{sysctls: {{x: {{{DELETE}}}, z: '3'}}}}",
            f"machine: {{sysctls: {{z: {{{DELETE}}}}}}}",
            f"machine: {{sysctls: {{x: {{a: {{{DELETE}}}}}}}}}",
            f"machine: {{network: {{{DELETE}}}}}",
            f"machine: {{network: {{hostname: {{{DELETE}}}}}}}",
            f"machine: {{network: {{hostname: {{a: {{{DELETE}}}}}}}}}",
            f"machine: {{network: {{nameservers: {{{DELETE}}}}}}}",
            f"machine: {{network: {{kubespan: {{{DELETE}}}}}}}",
            f"machine: {{network: {{kubespan: {{enabled: {{{DELETE}}}}}}}}}",
            f"machine: {{network: {{interfaces: {{{DELETE}}}}}}}",
            f"machine: {{network: {{interfaces: [{{{DELETE}}}]}}}}",
            f"machine: {{network: {{interfaces: [{{interface: eth0, {DELETE}}}]}}}}",
            f"machine: {{network: {{interfaces: [{{{DELETE}, interface: eth1}}]}}}}",
            f"machine: {{network: {{interfaces: [{{interface: eth9, {DELETE}}}]}}}}",
            f"machine: {{network: {{interfaces: [{{interface: {{a: b}}, {DELETE}}}]}}}}",
            f"machine: {{network: {{interfaces: [{{mtu: 9, {DELETE}}}]}}}}",
            f"machine: {{network: {{interfaces: [{{nothing: x, {DELETE}}}]}}}}",
            f"machine: {{network: {{interfaces: [{{interface: '', {DELETE}}}]}}}}",
            f"machine: {{network: {{interfaces: [{{interface: eth0, mtu: 9, {DELETE}}}, {{interface: eth1, mtu: 7}}]}}}}",
            f"machine: {{network: {{interfaces: [{{interface: eth0, mtu: {{{DELETE}}}}}]}}}}",
            f"machine: {{network: {{interfaces: [{{interface: eth1, vlans: [{{vlanId: 5, {DELETE}}}]}}]}}}}",
            f"machine: {{network: {{interfaces: {{eth0: {{{DELETE}}}}}}}}}",
            f"machine: {{network: {{interfaces: {{'[0]': {{{DELETE}}}}}}}}}",
            f"machine: {{kubelet: {{extraConfig: {{{DELETE}}}}}}}",
            f"machine: {{kubelet: {{extraConfig: {{a: {{{DELETE}}}}}}}}}",
            f"machine: {{kubelet: {{extraConfig: {{b: {{{DELETE}}}}}}}}}",
            f"machine: {{kubelet: {{extraConfig: {{b: {{c: {{{DELETE}}}}}}}}}}}",
            f"machine: {{kubelet: {{extraConfig: {{b: {{x: {{{DELETE}}}}}}}}}}}",
            f"machine: {{kubelet: {{extraConfig: {{x: {{{DELETE}}}}}}}}}",
            f"machine: {{kubelet: {{extraConfig: {{a: {{x: {{{DELETE}}}}}}}}}}}",
            f"machine: {{kubelet: {{extraConfig: {{b: {{d: [{{a: b, {DELETE}}}]}}}}}}}}",
            f"machine: {{registries: {{mirrors: {{m: {{{DELETE}}}}}}}}}",
            f"machine: {{registries: {{mirrors: {{n: {{{DELETE}}}}}}}}}",
            f"machine: {{registries: {{mirrors: {{n: {{endpoints: {{{DELETE}}}}}}}}}}}",
            f"machine: {{registries: {{mirrors: {{m: {{endpoints: {{{DELETE}}}}}}}}}}}",
            f"machine: {{registries: {{config: {{{DELETE}}}}}}}",
            f"machine: {{registries: {{config: {{m: {{{DELETE}}}}}}}}}",
            f"cluster: {{controlPlane: {{endpoint: {{{DELETE}}}}}}}",
            f"cluster: {{controlPlane: {{endpoint: {{a: {{{DELETE}}}}}}}}}",
            f"cluster: {{discovery: {{registries: {{service: {{{DELETE}}}}}}}}}",
            f"cluster: {{discovery: {{registries: {{service: {{endpoint: {{{DELETE}}}}}}}}}}}",
            f"machine: {{sysctls: {{y: {{{DELETE}}}}}, network: {{hostname: {{{DELETE}}}}}}}\ncluster: {{discovery: {{enabled: {{{DELETE}}}}}}}",
            f"kind: ''\nmachine: {{type: {{{DELETE}}}}}",
            f"apiVersion: v1alpha1\nmachine: {{type: {{{DELETE}}}}}",
            "machine: {$patch: replace}",
            "machine: {$patch: [delete]}",
            "machine: {network: {}}",
            "machine: {network: {interfaces: []}}",
        )
    ),
    *(
        (docs(M, doc("EventSinkConfig", "endpoint: '1.2.3.4:5'")), text)
        for text in (
            doc("EventSinkConfig", DELETE),
            doc("EventSinkConfig", DELETE, "odd"),
            doc("EventSinkConfig", f"endpoint: {{{DELETE}}}", "odd"),
            doc("Nothing", DELETE, "a"),
            doc("Nothing", f"a: {{{DELETE}}}"),
        )
    ),
    (network("[null, {interface: a}]"), network(f"[{{interface: a, {DELETE}}}]")),
    (network("[null]"), network(f"[{{interface: '', {DELETE}}}]")),
    (network("[{mtu: 3}]"), network(f"[{{interface: '', {DELETE}}}]")),
    # list items read by fields of many types
    *(
        (base, patch.replace("@", f"{selector}, {DELETE}"))
        for base, patch, selectors in (
            (
                doc(RULE, "src: 10.0.0.0/8", "1"),
                doc(RULE, "src: {@}", "1"),
                ("a: b",),
            ),
            (
                doc(
                    LINK,
                    "addresses: [{address: 10.0.0.1/8, routePriority: 7}, {}], routes: [{gateway: 10.0.0.1, table: '99', mtu: 5}, "
                    "{destination: 10.0.0.0/8}, {}]",
                    "eth0",
                ),
                doc(LINK, "addresses: [{@}]", "eth0"),
                ("address: 10.0.0.1/8", "address: 10.0.0.1/08", "address: ''", "address: invalid Prefix", "routePriority: 7", "routePriority: ''"),
            ),
            (
                doc(LINK, "routes: [{gateway: 10.0.0.1, table: '99', mtu: 5, metric: 8}, {destination: 10.0.0.0/8}]", "eth0"),
                doc(LINK, "routes: [{@}]", "eth0"),
                (
                    "gateway: 10.0.0.1",
                    "gateway: invalid IP",
                    "destination: 10.0.0.0/8",
                    "destination: ''",
                    "table: '99'",
                    "table: unspec",
                    "table: main",
                    "mtu: 5",
                    "mtu: '0'",
                    "metric: 8",
                ),
            ),
            (
                doc("WireguardConfig", "peers: [{publicKey: a, endpoint: '10.0.0.1:5', persistentKeepaliveInterval: 25s}, {publicKey: b}]", "wg0"),
                doc("WireguardConfig", "peers: [{@}]", "wg0"),
                (
                    "publicKey: b",
                    "endpoint: 10.0.0.1:5",
                    "endpoint: invalid AddrPort",
                    "persistentKeepaliveInterval: 25s",
                    "persistentKeepaliveInterval: 0s",
                    "persistentKeepaliveInterval: ''",
                ),
            ),
            (
                doc("RegistryMirrorConfig", "endpoints: [{url: 'https://a', overridePath: true}, {url: 'https://b'}, {}]", "r"),
                doc("RegistryMirrorConfig", "endpoints: [{@}]", "r"),
                ("url: https://b", "url: https://c", "url: ''", "overridePath: 'true'", "overridePath: ''"),
            ),
            (
                machine("logging: {destinations: [{endpoint: 'tcp://a:1', format: json_lines}, {endpoint: 'tcp://b:1'}]}"),
                machine("logging: {destinations: [{@}]}"),
                ("endpoint: tcp://a:1", "endpoint: ''", "format: json_lines", "format: ''"),
            ),
            (
                machine("files: [{path: /a, permissions: 0o644, op: create, content: x}, {path: /b}]"),
                machine("files: [{@}]"),
                ("path: /b", "permissions: '420'", "permissions: 0o644", "permissions: '0o0'", "permissions: ''", "op: ''", "content: x"),
            ),
            (
                machine("disks: [{device: /dev/a, partitions: [{mountpoint: /x, size: 1GB}]}, {device: /dev/b}]"),
                machine("disks: [{@}]"),
                ("device: /dev/b", "partitions: x", "device: [a]"),
            ),
            (
                cluster("acceptedCAs: [{crt: YQ==}]"),
                cluster("acceptedCAs: [{@}]"),
                ("crt: YQ==",),
            ),
            (
                doc("BGPInstanceConfig", "neighbors: [{address: 10.0.0.1, holdTime: 9s, passive: true}, {address: 10.0.0.2}]", "b"),
                doc("BGPInstanceConfig", "neighbors: [{@}]", "b"),
                ("address: 10.0.0.2", "address: invalid IP", "holdTime: 9s", "holdTime: 0s", "passive: 'true'", "passive: ''"),
            ),
            (
                doc("ImageVerificationConfig", "rules: [{image: a, skip: true}, {image: b}, {}]"),
                doc("ImageVerificationConfig", "rules: [{@}]"),
                ("image: b", "image: ''", "skip: 'true'"),
            ),
        )
        for selector in selectors
    ),
)


def patch(*operations: dict[str, t.Any]) -> str:
    """A JSON patch."""
    return json.dumps(operations)


def op(word: str, path: str | None = None, **more: t.Any) -> dict[str, t.Any]:
    """One operation; source stands for "from"."""
    named = {"from" if key == "source" else key: value for key, value in more.items()}
    return {"op": word, **({} if path is None else {"path": path}), **named}


JSON_BASE = (
    "machine:\n  type: worker\n  certSANs: [a, b, c]\n  sysctls: {x: '1', 'a/b': '2', 'c~d': '3', '0': '4', '': '5'}\n  install: {wipe: yes, disk: /dev/sda}\n"
    "  kubelet: {extraConfig: {when: 2024-01-01, n: null, on: 1, 'off': 2, f: 1.0, big: 1e3, deep: {list: [[1, 2], "
    "{k: v}]}}}\n  network: null\ncluster: {clusterName: 'yes', token: off}\n"
)

JSON: tuple[tuple[str, ...], ...] = tuple(
    (JSON_BASE, text if isinstance(text, str) else patch(*t.cast("tuple[dict[str, t.Any], ...]", text)))
    for text in (
        "[]",
        "- {op: add, path: /machine/token, value: yes}",
        "- {op: add, path: /machine/token, value: 2024-01-01}",
        "- {op: add, path: /machine/kubelet/extraConfig/t, value: {a: [2024-01-01], b: 2024-01-01T00:00:00Z}}",
        "- {op: add, path: /machine/certSANs/-, value: 'no'}",
        "- {op: add, path: /machine/token}",
        "- {op: add, value: x}",
        "- {path: /machine/token, value: x}",
        "- {op: add, path: /machine/token, value: x}\n- word",
        "- {op: add, path: /machine/token, value: x}\n- {op: {a: b}, path: /machine/token}",
        "- [a]",
        "op: add\npath: /machine/token\nvalue: x\n",
        "word",
        "",
        "null",
        "---\n- {op: add, path: /machine/token, value: x}\n",
        "- {op: add, path: /machine/token, value: x}\n---\nmachine: {token: y}\n",
        "- {op: add, path: /machine/token, value: x}\n---\n- {op: add, path: /machine/token, value: y}\n",
        *(
            (op(word, path, value=value),)
            for word in ("add", "replace")
            for path, value in (
                ("/machine/token", "t"),
                ("/machine/type", "controlplane"),
                ("/machine/type", None),
                ("/machine/certSANs/0", "x"),
                ("/machine/certSANs/1", "x"),
                ("/machine/certSANs/2", "x"),
                ("/machine/certSANs/3", "x"),
                ("/machine/certSANs/4", "x"),
                ("/machine/certSANs/-", "x"),
                ("/machine/certSANs/-1", "x"),
                ("/machine/certSANs/-2", "x"),
                ("/machine/certSANs/-3", "x"),
                ("/machine/certSANs/-4", "x"),
                ("/machine/certSANs/-5", "x"),
                ("/machine/certSANs/01", "x"),
                ("/machine/certSANs/x", "x"),
                ("/machine/certSANs/", "x"),
                ("/machine/certSANs/12345678901234567890", "x"),
                ("/machine/certSANs/0/a", "x"),
                ("/machine/certSANs/9/a", "x"),
                ("/machine/sysctls/a~1b", "x"),
                ("/machine/sysctls/c~0d", "x"),
                ("/machine/sysctls/0", "x"),
                ("/machine/sysctls/", "x"),
                ("/machine/sysctls/new", "x"),
                ("/machine/sysctls/x/y", "x"),
                ("/machine/network/hostname", "h"),
                ("/machine/nothing/hostname", "h"),
                ("/machine/kubelet/extraConfig/n/x", 1),
                ("/machine/kubelet/extraConfig/n", 1),
                ("/machine/kubelet/extraConfig/deep/list/0/1", 9),
                ("/machine/kubelet/extraConfig/deep/list/1/k", [1, {"a": None}]),
                ("/machine/kubelet/extraConfig/deep/list/-1/k", 9),
                ("/machine/kubelet/extraConfig/deep/list/-", 9),
                ("machine/token", "t"),
                ("machine", {}),
                ("/", {}),
                ("", {"machine": {"type": "worker"}}),
                ("", [1]),
                ("", "text"),
                ("", None),
                ("/machine", {"type": "controlplane"}),
                ("/debug", True),
            )
        ),
        *(
            (op("remove", path),)
            for path in (
                "/machine/type",
                "/machine/token",
                "/machine/certSANs/0",
                "/machine/certSANs/2",
                "/machine/certSANs/3",
                "/machine/certSANs/-",
                "/machine/certSANs/-1",
                "/machine/certSANs/-4",
                "/machine/certSANs/x",
                "/machine/sysctls/x",
                "/machine/sysctls/a~1b",
                "/machine/sysctls/x/y",
                "/machine/network/x",
                "/machine/nothing/x",
                "/machine/kubelet/extraConfig/n",
                "/cluster",
                "/",
                "",
                "cluster",
            )
        ),
        *(
            (op("test", path, value=value), op("add", "/machine/token", value="tested"))
            for path, value in (
                ("/machine/type", "worker"),
                ("/machine/type", "controlplane"),
                ("/machine/token", None),
                ("/machine/token", ""),
                ("/machine/network", None),
                ("/machine/network/x", None),
                ("/machine/nothing/x", None),
                ("/machine/install/wipe", True),
                ("/machine/install/wipe", 1),
                ("/machine/install/wipe", "yes"),
                ("/machine/certSANs", ["a", "b", "c"]),
                ("/machine/certSANs", ["a", "b"]),
                ("/machine/certSANs", ["c", "b", "a"]),
                ("/machine/install", {"wipe": 1, "disk": "/dev/sda"}),
                ("/machine/kubelet/extraConfig/deep/list/0", [True, 2]),
                ("/machine/certSANs/0", "a"),
                ("/machine/certSANs/-1", "c"),
                ("/machine/certSANs/7", None),
                ("/machine/certSANs/x", None),
                ("/machine/kubelet/extraConfig/true", 1),
                ("/machine/kubelet/extraConfig/on", 1),
                ("/machine/kubelet/extraConfig/off", 2),
                ("/machine/kubelet/extraConfig/f", 1),
                ("/machine/kubelet/extraConfig/big", 1000),
                ("/machine/kubelet/extraConfig/n", None),
                ("/machine/kubelet/extraConfig/when", "2024-01-01"),
                ("/machine/kubelet/extraConfig/deep", {"list": [[1, 2], {"k": "v"}]}),
                ("/machine/kubelet/extraConfig/deep", {"list": [[1, 2], {"k": "w"}]}),
                ("/machine/kubelet/extraConfig/deep", {"list": [[1, 2], {"k": "v", "l": 1}]}),
                ("/cluster/clusterName", "yes"),
                ("/cluster/clusterName", True),
                ("/cluster/token", "off"),
                ("/cluster/token", False),
                ("", {}),
                ("cluster", None),
            )
        ),
        (op("test", "/machine/token"),),
        (op("test", "/machine/type"),),
        *(
            (op(word, path, source=source),)
            for word in ("move", "copy")
            for source, path in (
                ("/machine/type", "/machine/token"),
                ("/machine/certSANs/0", "/machine/certSANs/2"),
                ("/machine/certSANs/2", "/machine/certSANs/0"),
                ("/machine/certSANs/0", "/machine/certSANs/-"),
                ("/machine/certSANs/-1", "/machine/token"),
                ("/machine/certSANs/5", "/machine/token"),
                ("/machine/nothing", "/machine/token"),
                ("/machine/nothing/x", "/machine/token"),
                ("/machine/network", "/machine/token"),
                ("/machine/sysctls", "/machine/sysfs"),
                ("/machine/sysctls", "/machine/sysctls/x"),
                ("/machine/sysctls/x", "/machine/sysctls/x"),
                ("/machine/sysctls/x", "/nothing/x"),
                ("", "/machine/token"),
                ("machine", "/machine/token"),
            )
        ),
        (
            op("copy", "/machine/kubelet/extraConfig/deep2", source="/machine/kubelet/extraConfig/deep"),
            op("add", "/machine/kubelet/extraConfig/deep/x", value=1),
        ),
        (op("add", "/machine/a", value=1),),
        (op("spell", "/machine/a", value=1),),
        (op("", "/machine/a", value=1),),
        (op("add", "/machine/env", value={}), op("add", "/machine/env/a", value="1"), op("remove", "/machine/env/a")),
    )
)

JSON_ROOTS: tuple[tuple[str, ...], ...] = tuple(
    (root, operations)
    for root in ("word\n", "7\n", "null\n", "- a\n", "{}\n", "true\n")
    for operations in ("[]", patch(op("add", "/-", value=1)), patch(op("replace", "", value={})), patch(op("test", "", value={})))
)

JSON_READS: tuple[tuple[str, ...], ...] = tuple(
    (text, patch(op("add", "/debug", value=False)))
    for text in (
        M,
        docs(M, doc("HostnameConfig", "hostname: a")),
        doc("HostnameConfig", "hostname: a"),
        docs("null\n", M),
        docs(M, "null\n"),
        "",
        "- a\n",
        "word\n",
        machine(
            "kubelet: {extraConfig: {yes: 1, 'yes': 2, on: 3, n: ~, t: 2024-01-01, <<: {m: 1}, o: 0o17, x: 0x1F, i: 1_000, "
            "f: .5, e: 1e400, inf: .inf, b: !!str yes, c: !!str on}}"
        ),
        machine("kubelet: {extraConfig: {<<: [{m: 1}, {m: 2, n: 3}]}}"),
        machine("kubelet: {extraConfig: {<<: word}}"),
        machine("kubelet: {extraConfig: {!!str yes: 1, a10: 1, a9: 1, A: 1, _: 1, é: 1}}"),
        machine("install: {wipe: 'yes'}"),
        machine("install: {wipe: yes}, kubelet: {image: no, extraArgs: {a: on, b: [x, off], c: null}}"),
        machine("nothing: 1"),
    )
)

LINES: tuple[tuple[str, ...], ...] = (
    # which documents go together
    (docs(M, M),),
    (docs(M, doc("HostnameConfig", "hostname: a"), doc("HostnameConfig", "hostname: b")),),
    (docs(doc(LINK, name="a"), doc(LINK, name="a")),),
    (docs(doc(LINK, name="a"), doc(LINK, name="b")),),
    (docs(doc(LINK, name="a"), doc("DummyLinkConfig", name="a")),),
    (docs(doc("Layer2VIPConfig", "link: a", "10.0.0.1"), doc("HCloudVIPConfig", "link: a, apiToken: b", "10.0.0.1")),),
    (docs(doc("UserVolumeConfig", name="a"), doc("ExistingVolumeConfig", name="a")),),
    *((docs(doc(LINK, name="a"), doc(kind, name="a")),) for kind in ("BondConfig", "BridgeConfig", "VLANConfig", "WireguardConfig", "VRFConfig", "VethConfig")),
    *(
        (docs(doc("VethConfig", "peer: {name: a}", "b"), doc(kind, name="a")),)
        for kind in (LINK, "BondConfig", "BridgeConfig", "DummyLinkConfig", "VLANConfig", "WireguardConfig", "VRFConfig", "VethConfig")
    ),
    (doc(LINK, name="a"), doc("BondConfig", name="a")),
    (doc(LINK, name="a"), docs(doc("BondConfig", name="b"), doc(LINK, name="b"))),
    (M, docs(doc(LINK, name="a"), doc(LINK, "mtu: 3", "a"))),
    (M, docs(machine("token: a"), machine("token: b"))),
    (docs(doc(LINK, name="z"), doc(LINK, name="a"), M), doc(LINK, "mtu: 2", "m")),
    (docs(doc(LINK, name="z"), M), docs(doc(LINK, "mtu: 2", "m"), machine("token: a"))),
    # heads
    ("{}",),
    ("[]",),
    ("null",),
    ("",),
    ("word",),
    ("---\n---\n",),
    (docs(M, "null\n", "---\n"),),
    (docs(M, "{}\n"),),
    (docs(M, "- a\n"),),
    ("version: v1alpha1\n",),
    ("version: v1alpha1\ndebug: true\n",),
    ("persist: true\n",),
    ("cluster: {}\n",),
    ("cluster: null\n",),
    ("kind: HostnameConfig\nhostname: a\n",),
    ("apiVersion: v1alpha1\nhostname: a\n",),
    ("apiVersion: v1alpha2\nkind: HostnameConfig\nhostname: a\n",),
    ("apiVersion: v1alpha1\nkind: hostnameconfig\nhostname: a\n",),
    ("apiVersion: v1alpha1\nkind: ''\nhostname: a\n",),
    ("apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: a\nmachine: {}\n",),
    ("apiVersion: v1alpha1\nmachine: {}\n",),
    ("kind: Config\nmachine: {}\n",),
    ("apiVersion: null\nkind: null\nmachine: {}\n",),
    ("apiVersion: [a]\nkind: HostnameConfig\n",),
    (doc("KubeSpanConfig", "enabled: true"),),
    (doc("KubeSpanConfig", "enabled: true", "odd"),),
    # shapes
    *(
        (text,)
        for text in (
            "machine: word\n",
            "machine: [a]\n",
            machine("certSANs: word"),
            machine("certSANs: {a: b}"),
            machine("certSANs: [[a]]"),
            machine("certSANs: [{a: b}]"),
            machine("certSANs: [a, null, ~, '', 7, yes]"),
            machine("sysctls: [a]"),
            machine("sysctls: word"),
            machine("sysctls: {a: [b]}"),
            machine("sysctls: {a: null, b: 7, c: yes, 5: x, null: y}"),
            machine("type: [a]"),
            machine("type: {a: b}"),
            machine("ca: word"),
            machine("ca: [a]"),
            machine("ca: {crt: YQ==, other: x}"),
            machine("ca: {crt: [a]}"),
            machine("ca: {crt: null, key: YQ==}"),
            machine("ca: {crt: 'YQ', key: ''}"),
            machine('ca: {crt: "Y\\nQ=\\r=", key: ******}'),
            machine("acceptedCAs: [{crt: ******}]"),
            machine("acceptedCAs: [{crt: YQ==, key: YQ==}]"),
            machine("acceptedCAs: [null, {crt: YQ==}]"),
            machine("kubelet: {extraArgs: {a: null}}"),
            machine("kubelet: {extraArgs: {a: [x, null, 7]}}"),
            machine("kubelet: {extraArgs: {a: [[x]]}}"),
            machine("kubelet: {extraArgs: {a: {b: c}}}"),
            machine("kubelet: {extraArgs: {a: []}}"),
            machine("kubelet: {extraConfig: word}"),
            machine("kubelet: {extraConfig: [a]}"),
            machine("pods: [{a: 2024-01-01}]"),
            machine("pods: [null, {a: 1}]"),
            machine("registries: {config: {a: {auth: {username: u}}, b: null}}"),
            machine("network: {interfaces: [{routes: [null, {gateway: 1.1.1.1}]}]}"),
            machine("kubelet: {extraMounts: [null, {destination: a}]}"),
            machine("udev: {rules: ['x', 'y\nz']}"),
            "machine: {type: worker, tokn: a, install: {dsk: b}}\ncluster: {tkn: c}\n",
            machine("type: worker, type: controlplane"),
            cluster("inlineManifests: [{name: a, contents: \"\\n\\t a: 1\"}, {name: b}, {name: c, contents: ''}]"),
        )
    ),
    (doc("EthernetConfig", "features: {a: null, b: yes}", "eth0"),),
    (doc("EthernetConfig", "features: {a: x}", "eth0"),),
    (doc("ContainerConfig", "machine: {}", "a"),),
)

# (base with @ for the value, the values)
VALUES: tuple[tuple[str, list[str]], ...] = (
    (
        machine("install: {wipe: @}"),
        words(
            "true | True | TRUE | false | False | FALSE | y | Y | yes | Yes | YES | on | On | ON | n | N | no | No | NO | off | Off | OFF | "
            "tRUE | yEs | 'yes' | 'true' | 1 | 0 | ~ | '' | !!bool | x | !!str | true"
        ),
    ),
    (
        machine("kubelet: {image: @}"),
        words("yes | 0x10 | 1.0 | null | ~ | '' | 2024-01-01 | 1:30 | !!str 5 | !!int 5 | 'a\n  b' | 2024-01-01T00:00:00Z | [a] | !!null x | !!binary YQ=="),
    ),
    (
        machine("network: {kubespan: {mtu: @}}"),
        words(
            "1400 | 0x578 | 0o2570 | 02570 | 0b101 | 1_400 | 1400.0 | 1400.5 | 1e3 | -1 | 4294967295 | 4294967296 | '1400' | '' | x | +7 | "
            "0 | -0 | .inf | true | 09"
        ),
    ),
    (
        doc(VOLUME, "encryption: {blockSize: @}", "EPHEMERAL"),
        words("18446744073709551615 | 18446744073709551616 | -1 | 9223372036854775808 | 1.0e18 | 1.0e19 | 0x8000000000000000"),
    ),
    (machine("features: {kubePrism: {port: @}}"), words("7445 | -9223372036854775808 | 9223372036854775808 | -9223372036854775809 | 1.9 | -1.9")),
    (doc("VLANConfig", "parent: a, vlanID: @", "v"), words("4094 | 65535 | 65536 | -1 | 0")),
    (doc("ZswapConfig", "maxPoolPercent: @"), words("20 | 0 | 100 | 101 | -1 | x")),
    (doc("BondConfig", "links: [a], numPeerNotif: @", "b"), words("255 | 256 | -1 | 0")),
    (
        machine("time: {bootTimeout: @}"),
        words(
            "1h30m | 1.5h | 90s | 1h1m1s1ms1us1ns | 1µs | 1μs | -5m | +5m | 0 | '0' | +0 | -0 | '' | 5 | 1.5 | 1h30 | x | 1d | .5s | 1.s | "
            ".s | 1h 1m | 9999999h | 2562047h | 2562048h | 100ms | 1500us | 999ns | 60m | 3600s | 0.1ns | 1e3s | 00 | 0h | 1h0.0000000001s | "
            "-2562047h47m16.854775808s | --1s"
        ),
    ),
    (
        machine("disks: [{device: a, partitions: [{size: @}]}]"),
        words(
            "10GB | 10 GB | 10GiB | 1.5GB | 1,000 | 4096 | 5000 | 1e3 | 10kb | 10KB | 10K | 10ki | 10kib | 1MB | 1M | 1Mi | 1MiB | 1TB | "
            "1T | 1Ti | 1TiB | 1PB | 1P | 1Pi | 1PiB | 1EB | 1E | 1Ei | 1EiB | 17EB | 1B | 1b | '' | x | -1 | 1.5.5GB | 1XB | 0 | 999 | "
            "1000 | 1500 | 12300000 | 123456000 | 99900000 | 9990000 | 1024000 | ' 1GB ' | 1 G B | 100GB | 18446744073709551615"
        ),
    ),
    (doc(VOLUME, "provisioning: {minSize: @}", "EPHEMERAL"), words("10GiB | '' | 4096 | -1GB | x | ' 1GB' | 10% | 1e3 | {} | {a: b}")),
    (
        doc(VOLUME, "provisioning: {maxSize: @}", "EPHEMERAL"),
        words("10GiB | '' | 4096 | -1GB | x | 10% | 100% | 101% | 0% | -5% | 1.5% | % | 10%% | 1000000% | ' 5%' | 5 % | {} | {a: b}"),
    ),
    (
        machine("install: {diskSelector: {size: @}}"),
        words("4GB | '>= 1TB' | '<= 1TB' | '> 1TB' | '< 1TB' | '== 1TB' | '= 1TB' | '>=1TB' | '>=' | '' | x | 4096 | '  > 1 GB ' | '!= 1GB'"),
    ),
    (machine("install: {diskSelector: {type: @}}"), words("nvme | sd | hdd | ssd | NVME | x | ''")),
    (
        doc(RULE, "src: @", "1001"),
        words(
            "10.0.0.0/8 | 10.0.0.1/8 | 2001:DB8::/32 | ::ffff:10.0.0.1/120 | fe80::1%eth0/64 | 10.0.0.0 | 10.0.0.0/33 | 2001:db8::/129 | "
            "10.0.0.0/08 | 10.0.0.0/+8 | x/8 | '' | /8 | 010.0.0.1/8"
        ),
    ),
    (
        doc(LINK, "routes: [{gateway: '@'}]", "eth0"),
        words(
            "10.0.0.1 | fe80::1%eth0 | 2001:DB8::0001 | ::ffff:10.0.0.1 | 10.0.0.01 | 10.0.0 | 10.0.0.256 |  | x | fe80::1% | [::1] | "
            "0.0.0.0 | :: | ::ffff:1.2.3.4%e"
        ),
    ),
    (
        doc("WireguardConfig", "peers: [{endpoint: '@'}]", "wg0"),
        words(
            "10.0.0.1:80 | [fe80::1]:443 | 10.0.0.1 | 10.0.0.1:70000 | 10.0.0.1: | fe80::1:80 | [10.0.0.1]:80 | x:1 |  | 10.0.0.1:080 | "
            "[FE80::1]:1 | 10.0.0.1:+1 | [fe80::1%e]:1"
        ),
    ),
    (doc(LINK, "hardwareAddr: '@'", "eth0"), words("00:1A:2b:3c:4d:5e | 001a2b3c4d5e | 00-1a-2b-3c-4d-5e |  | 0 | zz | 00:1a | 00:1:a2 | ::")),
    (
        doc("NetworkRuleConfig", "portSelector: {ports: [ @], protocol: tcp}", "r"),
        words("80 | 80-90 | 90-80 | 80-80 | '80' | '80-90' | 70000 | 1-70000 | x | '' | 1-2-3 | -1 | 0 | 0x50 | '0' | 80.0 | 0-0 | - 5"),
    ),
    (doc("NetworkRuleConfig", "portSelector: {ports: [80], protocol: @}", "r"), words("tcp | udp | icmp | icmpv6 | TCP | x | '' | 6")),
    (doc("NetworkDefaultActionConfig", "ingress: @"), words("accept | block | Accept | x | '' | 0 | 1")),
    (
        doc("BondConfig", "links: [a], bondMode: @", "b"),
        words("balance-rr | active-backup | balance-xor | broadcast | 802.3ad | balance-tlb | balance-alb | 802.3AD | 0 | x | ''"),
    ),
    (doc("BondConfig", "links: [a], bondMode: active-backup, failOverMac: @", "b"), words("none | active | follow | NONE | 0 | 1 | 2 | 3 | x")),
    (doc("BondConfig", "links: [a], bondMode: 802.3ad, xmitHashPolicy: @", "b"), words("layer2 | layer3+4 | layer2+3 | encap2+3 | encap3+4 | Layer2 | x")),
    (doc("BondConfig", "links: [a], bondMode: 802.3ad, lacpRate: @", "b"), words("slow | fast | FAST | 1")),
    (doc("BondConfig", "links: [a], bondMode: 802.3ad, adSelect: @", "b"), words("stable | bandwidth | count | x")),
    (doc("BondConfig", "links: [a], bondMode: 802.3ad, adLACPActive: @", "b"), words("on | off | 'on' | 'off' | true | x")),
    (doc("BondConfig", "links: [a], bondMode: active-backup, arpAllTargets: @", "b"), words("any | all | x")),
    (doc("BondConfig", "links: [a], bondMode: active-backup, primaryReselect: @", "b"), words("always | better | failure | x")),
    (
        doc("BondConfig", "links: [a], bondMode: active-backup, arpValidate: @", "b"),
        words("none | active | backup | all | filter | filter-active | filter-backup | x"),
    ),
    (doc("HostnameConfig", "auto: @"), words("off | 'off' | stable | talos-addr | Stable | x | ''")),
    (doc("VLANConfig", "parent: a, vlanID: 5, vlanMode: @", "v"), words("802.1q | 802.1ad | 802.1Q | x | ''")),
    (doc(LINK, "routes: [{gateway: 1.1.1.1, table: @}]", "e"), words("main | local | default | unspec | '99' | 99 | 252 | 253 | 0 | 1 | x | MAIN")),
    (doc(RULE, "table: '99', action: @", "1001"), words("unspec | unicast | blackhole | unreachable | prohibit | x")),
    (doc("EthernetConfig", "wakeOnLan: [ @]", "e"), words("phy | unicast | multicast | broadcast | magic | magicsecure | filter | x | ''")),
    (doc("DHCPv4Config", "clientIdentifier: @", "e"), words("none | mac | duid | x | ''")),
    (doc(VOLUME, "encryption: {provider: @}", "EPHEMERAL"), words("none | luks2 | LUKS2 | x | ''")),
    (doc("UserVolumeConfig", "filesystem: {type: @}", "u"), words("none | xfs | vfat | ext4 | iso9660 | swap | swapi | virtiofs | btrfs | x | ''")),
    (doc("UserVolumeConfig", "volumeType: @", "u"), words("partition | disk | tmpfs | directory | symlink | overlay | external | x | ''")),
    (doc("LVMLogicalVolumeConfig", "type: @", "l"), words("linear | raid0 | raid1 | raid10 | x | ''")),
    (doc("RAIDArrayConfig", "level: @", "l"), words("raid1 | raid0 | x | ''")),
    (doc("RAIDArrayConfig", "metadata: @", "l"), words("'1.0' | '1.2' | 1.2 | x | ''")),
    (doc("ResolverConfig", "nameservers: [{address: 1.1.1.1, protocol: @}]"), words("Do53 | DoT | DoH | dot | x | ''")),
    (machine("files: [{path: a, permissions: @}]"), words("0o644 | 0644 | 420 | -1 | 4294967295 | 4294967296 | '420' | 0 | 1.0")),
    (
        cluster("controlPlane: {endpoint: '@'}"),
        words(
            "https://a:6443 | HTTPS://A:6443/Path | https://a | //a | /a | a | a/b | a:b | a/b:c | :a |  | ? | https://a? | https://a?x=1 | "
            "https://a?x? | https://a# | https://a#x | https://a#x%20y | https://a#%zz | https://a/%zz | https://a/%20b | https://a/b c | "
            'https://a/é | https://a/%2f | https://a/[x] | https://a/;x | https://a/"x" | https://a/{x} | https://a/x|y | '
            "https://a/x^y%20z | https://a#x|y | https://a#é | https://u@a | https://u:p@a | https://u:@a | https://:p@a | https://@a | "
            "https://u p@a | https://u%20p@a | https://u%zz@a | https://u/p@a | https://u:p:q@a | https://u@v@a | https://u|@a | "
            "https://u~-_.@a | https://[::1] | https://[::1]:80 | https://[::1 | https://[::1]x | https://::1 | https://a:b | https://a: | "
            "https://a:80:90 | https://a b | https://a%20b | https://a%25b | https://[fe80::1%25e] | https://é | https://a%41 | "
            "https://a<b | https://a\\tb | https://a/\t/b | https://a#\t | https: | https:a | https:/a | https:///a | ///a | mailto:x@y | "
            "a+b-c.1:x | 1a:x | https://a//b | "
            "https://a/../b | * | https:?x | https:#x | https:/ | x:/a:b | ./a:b | https://a/\x7f | https://a%2 | https://(a) | "
            "https://a/(b) | https://a/!* | https://a#!* | http:%20x | https://a%"
        ),
    ),
)

GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "merge": MERGE,
    "delete": DELETES,
    "json": JSON,
    "json-roots": JSON_ROOTS,
    "json-reads": JSON_READS,
    "documents": LINES,
    "value": tuple((M, base.replace(" @", "\n  @").replace("@", value)) for base, values in VALUES for value in values),
}


def cases() -> t.Iterator[Case]:
    """All of them; they are asked of every release."""
    for group, rows in GROUPS.items():
        for number, (base, *patches) in enumerate(rows):
            yield Case(base, tuple(patches) or (M if group == "documents" else "",), f"rulebook-{number} {group}")
