module k8s-cluster.manager/conformance/config

go 1.26

replace gopkg.in/yaml.v3 => github.com/unix4ever/yaml v0.0.0-20220527175918-f17b0f05cf2c

require github.com/siderolabs/talos/pkg/machinery v1.6.7
