package tenants

import "testing"

// TestAlone makes the attempts that load the service or measure it, one after the other and before the others.
func TestAlone(t *testing.T) {
	for _, a := range append(timingAttempts(), limitAttempts()...) {
		t.Run(a.name, a.run)
	}
}
