// Package nsjail makes sandboxes out of Google's nsjail, runs one script in
// each, and says truly how the script ended.
//
// A Sandbox is one-shot: it is launched, becomes ready, runs one script, and is
// gone. Inside it, pid 1 is the runner's supervisor, which never runs user code
// and stays out of its reach; pid 2 runs the script. Three things come out:
// stdout, stderr, and the runner's report, each on a descriptor and with a
// bound of its own. A fourth, the status socket, belongs to the supervisor
// alone and carries the script's wait status.
//
// A verdict is enforced (our clock, the cgroup's counters, the wait status) or
// reported (the runner's word); what is enforced wins. See decide.
//
// The package knows nothing of HTTP or Redis.
package nsjail

//go:generate go run gen_config.go
