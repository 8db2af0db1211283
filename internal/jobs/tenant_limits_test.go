package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLimitsOfAKeyOverDefaults(t *testing.T) {
	t.Parallel()
	defaults := TenantSettings{
		RequestsPerSecond: 10, Burst: 50, OpenJobs: 100, RunningJobs: 4, CPUPerDay: time.Hour,
	}.Limits()
	for _, c := range []struct {
		name      string
		key, want TenantLimits
	}{
		{"nothing of its own", TenantLimits{}, defaults},
		{
			"a rate of its own has no default burst",
			TenantLimits{RequestsPerSecond: 2},
			TenantLimits{RequestsPerSecond: 2, OpenJobs: 100, RunningJobs: 4, CPUPerDay: time.Hour},
		},
		{
			"a burst of its own",
			TenantLimits{Burst: 5},
			TenantLimits{RequestsPerSecond: 10, Burst: 5, OpenJobs: 100, RunningJobs: 4, CPUPerDay: time.Hour},
		},
		{
			"no bounds",
			TenantLimits{RequestsPerSecond: -1, OpenJobs: -1, RunningJobs: -1, CPUPerDay: -1},
			TenantLimits{RequestsPerSecond: -1, OpenJobs: -1, RunningJobs: -1, CPUPerDay: -1},
		},
		{
			"what has no default",
			TenantLimits{
				Weight: 3, Environments: []string{"a"}, Largest: RequestedLimits{Wall: time.Second}, OpenJobs: 7,
			},
			TenantLimits{
				Weight: 3, Environments: []string{"a"}, Largest: RequestedLimits{Wall: time.Second}, OpenJobs: 7,
				RequestsPerSecond: 10, Burst: 50, RunningJobs: 4, CPUPerDay: time.Hour,
			},
		},
	} {
		got := c.key.Over(defaults)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if again := got.Over(defaults); !cmp.Equal(got, again) {
			t.Errorf("%s: Over twice returns %+v", c.name, again)
		}
	}
}

// -1 is no bound in each form, also over the default of a setting.
func TestNoBoundOverADefault(t *testing.T) {
	t.Parallel()
	const text = `{"requests_per_second":-1,"open_jobs":-1,"running_jobs":-1,"cpu_seconds_per_day":-1}`
	limits, err := DecodeTenantLimits("limits", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if encoded, err := EncodeTenantLimits(limits); err != nil || string(encoded) != text {
		t.Errorf("%s, %v", encoded, err)
	}
	defaults := TenantSettings{RequestsPerSecond: 1, Burst: 2, OpenJobs: 3, RunningJobs: 4, CPUPerDay: time.Hour}
	over := limits.Over(defaults.Limits())
	if over.RequestsPerSecond >= 0 || over.OpenJobs >= 0 || over.RunningJobs >= 0 || over.CPUPerDay >= 0 {
		t.Errorf("%+v", over)
	}
	for _, refused := range []string{
		`{"requests_per_second":-2}`, `{"open_jobs":0}`, `{"running_jobs":-1.5}`, `{"cpu_seconds_per_day":-0.5}`,
		`{"weight":-1}`, `{"burst":-1}`,
	} {
		if got, err := DecodeTenantLimits("limits", []byte(refused)); CodeOf(err) != CodeInvalidRequest {
			t.Errorf("%s: %+v, %v", refused, got, err)
		}
	}
}

func TestBurstSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limits TenantLimits
		want   int
	}{
		{TenantLimits{RequestsPerSecond: 0.1}, 1},
		{TenantLimits{RequestsPerSecond: 2.5}, 3},
		{TenantLimits{RequestsPerSecond: 2.5, Burst: 7}, 7},
		{TenantLimits{RequestsPerSecond: 1e30}, 1_000_000},
	} {
		if got := c.limits.BurstSize(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.limits, got, c.want)
		}
	}
}

// Limits never apply to the operator, whatever its key has.
func TestBoundsOfTheOperator(t *testing.T) {
	t.Parallel()
	limits := TenantLimits{OpenJobs: 1}
	if got := (Caller{Tenant: Operator, Limits: limits}).Bounds(); got.OpenJobs != 0 {
		t.Errorf("the operator has %+v", got)
	}
	if got := (Caller{Tenant: "acme", Limits: limits}).Bounds(); got.OpenJobs != 1 {
		t.Errorf("acme has %+v", got)
	}
}

func TestLargestLimits(t *testing.T) {
	t.Parallel()
	limits := TenantLimits{Largest: RequestedLimits{Wall: 2 * time.Second, MemoryBytes: 64 << 20}}
	for _, fits := range []RequestedLimits{
		{}, {Wall: 2 * time.Second}, {CPU: time.Hour}, {Wall: time.Second, MemoryBytes: 64 << 20},
	} {
		if err := limits.CheckLargest(fits); err != nil {
			t.Errorf("%+v: %v", fits, err)
		}
	}
	err := limits.CheckLargest(RequestedLimits{MemoryBytes: 128 << 20})
	if CodeOf(err) != CodeInvalidRequest || !strings.Contains(AsError(err).Message, `"limits.memory_mb" is 128`) ||
		!strings.Contains(AsError(err).Message, "at most 64;") {
		t.Errorf("got %v", err)
	}
}

func TestTenantSettingsAreChecked(t *testing.T) {
	t.Parallel()
	if err := (TenantSettings{RequestsPerSecond: 0.5, Burst: 3, CPUPerDay: time.Minute}).Validate(); err != nil {
		t.Error(err)
	}
	for _, wrong := range []TenantSettings{
		{RequestsPerSecond: -1},
		{RequestsPerSecond: 2e6},
		{Burst: -1},
		{OpenJobs: -1},
		{RunningJobs: -1},
		{CPUPerDay: -1},
		{CPUPerDay: time.Millisecond},
	} {
		if wrong.Validate() == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}
