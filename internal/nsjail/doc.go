// Package nsjail makes sandboxes with Google's nsjail, runs one script in each, and decides how the
// script ended.
//
// A Sandbox is one-shot: it is acquired ready, runs one script, and is discarded. There are two
// kinds, with the same limits and the same view from inside:
//
//   - Cold: one nsjail for each sandbox. Pid 1 is the runner's supervisor, which never runs user code
//     and is out of its reach. It reports the script's wait status on the status socket.
//   - Warm: a fork of a zygote. A zygote is an nsjail with a Python interpreter that has packages
//     loaded. Each fork has its own namespaces; pid 1 is a tiny init program (package tinyinit). The
//     zygote reports the wait status on its control socket. A pool keeps forks ready and replaces
//     zygotes. NewProvider falls back to cold sandboxes where warm ones are not possible.
//
// In both, pid 2 runs the script and has three bounded outputs, each with its own descriptor:
// stdout, stderr, and the channel, which carries the script in and the runner's report out
// (runner/protocol.md).
//
// A verdict is enforced (the worker's clock, the counters of the cgroup, the wait status) or
// reported (by the runner, whose report user code can forge); the enforced one wins. See decide.
//
// The package does not depend on HTTP or Redis.
package nsjail

//go:generate go run gen_config.go
