# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configs and documents that are valid, so that a case is about nothing but its row."""

from __future__ import annotations

import typing as t

WORKER: dict[str, t.Any] = {
    "version": "v1alpha1",
    "machine": {"type": "worker", "token": "abcdef.0123456789", "ca": {"crt": "YQ==", "key": ""}, "install": {"disk": "/dev/sda"}},
    "cluster": {"controlPlane": {"endpoint": "https://10.0.0.1:6443"}, "token": "ghijkl.0123456789", "ca": {"crt": "YQ==", "key": ""}},
}
CONTROL_PLANE: dict[str, t.Any] = {
    "version": "v1alpha1",
    "machine": {"type": "controlplane", "token": "abcdef.0123456789", "ca": {"crt": "YQ==", "key": "Yg=="}, "install": {"disk": "/dev/sda"}},
    "cluster": {
        "controlPlane": {"endpoint": "https://10.0.0.1:6443"},
        "clusterName": "c",
        "ca": {"crt": "YQ==", "key": "Yg=="},
        "etcd": {"ca": {"crt": "YQ==", "key": "Yg=="}},
    },
}

DISK: dict[str, t.Any] = {"diskSelector": {"match": "disk.size > 10u * GB"}, "minSize": "10GiB"}
VOLUME: dict[str, t.Any] = {"volumeSelector": {"match": 'volume.name == "ext4"'}}
KEY = "OPyRwF6V0A/3MqOcmvRTnv2Hwd3iXkz8pGNxnFMYKXI="
IMAGE = "registry.example/kubernetes:v1.33.1"
# What makes a document of a kind valid, beside apiVersion, kind and a name where kinds have names.
DOCUMENTS: dict[str, dict[str, t.Any]] = {
    "BGPInstanceConfig": {"localASN": 65000},
    "BlackholeRouteConfig": {"name": "10.9.0.0/16"},
    "BondConfig": {"links": ["eth0"], "bondMode": "802.3ad"},
    "ContainerConfig": {"image": IMAGE},
    "DiscoveryIdentityConfig": {"clusterID": "id", "clusterSecret": KEY},
    "DiscoveryServiceConfig": {"endpoint": "https://discovery.example/"},
    "EventSinkConfig": {"endpoint": "10.0.0.1:8080"},
    "ExistingVolumeConfig": {"discovery": VOLUME},
    "ExtensionServiceConfig": {"configFiles": [{"content": "a", "mountPath": "/etc/a"}]},
    "ExternalVolumeConfig": {"filesystemType": "virtiofs", "mount": {"virtiofs": {"tag": "a"}}},
    "HCloudVIPConfig": {"name": "10.0.0.9", "link": "eth0", "apiToken": "t"},
    "HTTPProbeConfig": {"url": "https://a.example/"},
    "HostnameConfig": {"auto": "stable"},
    "KmsgLogConfig": {"url": "tcp://10.0.0.1:1514"},
    "KubeAPIServerCAConfig": {"issuingCA": {"cert": "a", "key": "b"}},
    "KubeAPIServerConfig": {"image": IMAGE},
    "KubeAggregatorCAConfig": {"issuingCA": {"cert": "a", "key": "b"}},
    "KubeAuthorizerConfig": {"type": "RBAC"},
    "KubeClusterConfig": {"clusterName": "c", "endpoint": "https://10.0.0.1:6443"},
    "KubeControllerManagerConfig": {"image": IMAGE},
    "KubeEtcdEncryptionConfig": {"config": {"a": 1}},
    "KubeExternalManifestConfig": {"url": "https://a.example/x.yaml"},
    "KubeFlannelCNIConfig": {"backendType": "vxlan"},
    "KubeNetworkConfig": {"podSubnets": ["10.244.0.0/16"], "serviceSubnets": ["10.96.0.0/12"]},
    "KubePrismConfig": {"port": 7445},
    "KubeProxyConfig": {"image": IMAGE},
    "KubeSchedulerConfig": {"image": IMAGE},
    "KubeServiceAccountConfig": {"issuer": {"privateKey": "k"}},
    "KubeStaticPodConfig": {"pod": {"a": 1}},
    "KubeletConfig": {"image": IMAGE},
    "LVMLogicalVolumeConfig": {"provisioning": {"volumeGroup": "vg", "maxSize": "10GiB"}},
    "LVMVolumeGroupConfig": {"provisioning": VOLUME},
    "Layer2VIPConfig": {"name": "10.0.0.9", "link": "eth0"},
    "LinkAliasConfig": {"selector": {"match": "link.mtu == 1500u"}},
    "NetworkRuleConfig": {"portSelector": {"ports": [80]}},
    "RAIDArrayConfig": {"level": "raid1", "provisioning": VOLUME},
    "RawVolumeConfig": {"provisioning": DISK},
    "RoutingRuleConfig": {"name": "1000", "table": "main"},
    "SideroLinkConfig": {"apiUrl": "https://a.example/?jointoken=x"},
    "StaticHostConfig": {"name": "10.0.0.8", "hostnames": ["a"]},
    "SwapVolumeConfig": {"provisioning": DISK},
    "TCPProbeConfig": {"endpoint": "10.0.0.1:80"},
    "UnattendedInstallConfig": {"provisioning": {"diskSelector": {"match": "disk.size > 10u * GB"}}},
    "UserVolumeConfig": {"provisioning": DISK},
    "VLANConfig": {"vlanID": 100, "parent": "eth0"},
    "VRFConfig": {"table": "123", "links": ["eth0"]},
    "VethConfig": {"peer": {"name": "eth8"}},
    "VolumeConfig": {"name": "EPHEMERAL"},
    "WatchdogTimerConfig": {"device": "/dev/watchdog0"},
    "WireguardConfig": {"privateKey": KEY, "peers": [{"publicKey": KEY, "allowedIPs": ["10.0.0.0/8"]}]},
}
