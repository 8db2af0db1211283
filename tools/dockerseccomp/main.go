// Command dockerseccomp prints the seccomp profile for a worker in an unprivileged container: Docker's default, and
// the calls that nsjail needs in addition.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// needed are the calls with which nsjail creates namespaces and mounts in them. Docker's default requires capabilities
// for them, which the worker has only inside the sandbox's user namespace.
var needed = []string{
	"clone", "clone3", "unshare", "setns", "mount", "umount2", "pivot_root", "sethostname",
}

func main() {
	profile := seccomp.DefaultProfile()
	allow := &seccomp.Syscall{Comment: "what nsjail needs over Docker's default"}
	allow.Names, allow.Action = needed, specs.ActAllow
	// First, since the default has a rule that refuses clone3.
	profile.Syscalls = append([]*seccomp.Syscall{allow}, without(profile.Syscalls, "clone3")...)
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(profile); err != nil {
		log.Fatal(err)
	}
}

// without removes the rules that refuse only this call.
func without(rules []*seccomp.Syscall, call string) []*seccomp.Syscall {
	var kept []*seccomp.Syscall
	for _, rule := range rules {
		if len(rule.Names) == 1 && rule.Names[0] == call && rule.Action == specs.ActErrno {
			continue
		}
		kept = append(kept, rule)
	}
	return kept
}
