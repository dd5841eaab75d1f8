//go:build tools

// Package tools pins the simulated node that the benchmark compares with.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
