module k8s-cluster.manager/conformance/config

go 1.26

replace github.com/mdlayher/ethtool => github.com/siderolabs/ethtool v0.4.0-sidero

require github.com/siderolabs/talos/pkg/machinery v1.12.6
