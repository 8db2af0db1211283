package mcp

import "testing"

func documentedReasons(t *testing.T) map[string]bool { return map[string]bool{} }
