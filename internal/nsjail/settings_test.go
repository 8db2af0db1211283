package nsjail

import (
	"testing"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/sandboxtest"
)

// TestSettingsDefaults checks the settings against the domain's defaults.
func TestSettingsDefaults(t *testing.T) {
	t.Parallel()
	if got := sandboxtest.Defaults[Settings](t).Limits(); got != jobs.DefaultLimits() {
		t.Errorf("the settings have %+v, the domain %+v", got, jobs.DefaultLimits())
	}
}
