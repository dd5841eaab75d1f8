//go:build tools

// Package tools pins the program that stands for servers of every kind in Kubernetes' own tests.
package tools

import _ "k8s.io/kubernetes/test/images/agnhost"
