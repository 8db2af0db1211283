package nsjail

import (
	"strings"
	"testing"

	"cellblock/internal/nsjail/host"
)

func TestUnfitForGVisor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		gvisor, singleUID bool
		kind              string
		want              string
	}{
		"Linux, cold":             {false, false, KindCold, ""},
		"Linux, without root":     {false, true, KindWarm, ""},
		"gVisor, warm":            {true, false, KindWarm, ""},
		"gVisor, cold":            {true, false, KindCold, "leave SANDBOX at warm"},
		"gVisor, without root":    {true, true, KindWarm, "must be root"},
		"gVisor, cold, no root":   {true, true, KindCold, "leave SANDBOX at warm"},
		"Linux, cold and no root": {false, true, KindCold, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &host.Host{GVisor: test.gvisor, Slot: &host.Slot{SingleUID: test.singleUID}}
			err := unfitForGVisor(h, Settings{Sandbox: test.kind})
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}
