// Package runner holds the Python program that runs inside the sandbox.
// protocol.md, beside it, says how the worker talks to it.
package runner

import "embed"

// Files are the runner's modules, main.py at the root. The worker lays them
// down in one directory, which the sandbox sees as /runner.
//
//go:embed *.py
var Files embed.FS
