package escape

import (
	"fmt"
	"strings"
	"testing"
)

// TestEveryControlBites checks that no worker found, when it started, a limit of the cgroups that has no effect.
func TestEveryControlBites(t *testing.T) {
	for _, k := range kinds {
		for _, worker := range k.standard.Workers() {
			const message = "cgroups unusable: limits on memory, processes and CPU time hold for each process only"
			reason := worker.Logged(message, "reason", nil)
			if strings.Contains(reason, "memory: ") || strings.Contains(reason, "processes: ") ||
				strings.Contains(reason, "CPU time: ") {
				t.Errorf("the worker of %s sandboxes goes on with rlimits: %s", k.name, reason)
			}
			if worker.Logged("sandboxes ready", "cgroups", nil) == "" {
				t.Errorf("the worker of %s sandboxes does not report its cgroups", k.name)
			}
		}
		fmt.Printf("held   %s  every control bites\n", k.name)
	}
}
