//go:build tools

// Package tools pins the metrics-server that reads the kubelet's figures in the tests.
package tools

import _ "sigs.k8s.io/metrics-server/cmd/metrics-server"
