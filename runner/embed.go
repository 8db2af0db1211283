// Package runner embeds the Python program that runs inside the sandbox. protocol.md describes how
// the worker talks to it.
package runner

import "embed"

// Files are the runner's modules, with main.py at the root. The worker writes them to one
// directory, which the sandbox sees as /runner.
//
//go:embed *.py
var Files embed.FS
