// Package mcp tests the MCP server of a running service as agents use it: by the Go SDK's client over HTTP and over
// standard input and output, by the Python clients and the inspector, by the protocol's own conformance suite, and by
// what hostile pages and scripts would send.
package mcp
