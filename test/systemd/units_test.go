package systemd

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exposures are the units, and what `systemd-analyze security` may find at most: 0 is nothing, 10 all.
var exposures = map[string]float64{
	"cellblock-redis.service":       0.6,
	"cellblock-api@8080.service":    1.5,
	"cellblock-worker@9091.service": 4.7,
}

// path has the installed units before those of the machine.
func (i installed) path() []string { return []string{"SYSTEMD_UNIT_PATH=" + i.units() + ":"} }

// TestUnitsAreValid lets systemd read each unit: unknown settings, wrong values and missing programs are errors.
func TestUnitsAreValid(t *testing.T) {
	t.Parallel()
	i := install(t)
	names := []string{"cellblock.target"}
	for name := range exposures {
		names = append(names, name)
	}
	for _, name := range names {
		out, err := tool(t, i.path(), "systemd-analyze", "verify", "--man=no", name)
		if err != nil || strings.Contains(out, "cellblock") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

var (
	// settingRow is a row of a table of settings: the variable, the flag, the default.
	settingRow = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| [^|]+ \\| ([^|]+) \\|")
	// assignment is a line with a setting, also one that is commented out.
	assignment = regexp.MustCompile(`(?m)^#?(?:Environment=)?([A-Z][A-Z_]+)=`)
)

var overall = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)

// TestExposureDoesNotGrow holds each unit to its number: whatever takes a restriction away must change the number too.
func TestExposureDoesNotGrow(t *testing.T) {
	t.Parallel()
	i := install(t)
	for name, bound := range exposures {
		out, _ := tool(t, i.path(), "systemd-analyze", "security", "--offline=yes", "--no-pager", name)
		match := overall.FindStringSubmatch(out)
		if match == nil {
			t.Fatalf("%s: %s", name, out)
		}
		if exposure, err := strconv.ParseFloat(match[1], 64); err != nil || exposure > bound {
			t.Errorf("%s has an exposure of %s, above %.1f:\n%s", name, match[1], bound, out)
		}
	}
}

// documented returns the settings of a program, and their defaults, as docs/configuration.md has them, which is
// compared with the programs elsewhere.
func documented(t *testing.T, program string) map[string]string {
	t.Helper()
	content, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), "<!-- settings of "+program+" -->")
	table, _, found := strings.Cut(rest, "<!-- end of "+program+" -->")
	if !found {
		t.Fatalf("docs/configuration.md has no table of %s", program)
	}
	settings := map[string]string{}
	for _, row := range settingRow.FindAllStringSubmatch(table, -1) {
		settings[row[1]] = strings.Trim(row[2], "`")
	}
	return settings
}

// TestSettingsExist reads the names of settings in the units and in the files of settings, also those that are
// commented out.
func TestSettingsExist(t *testing.T) {
	t.Parallel()
	i := install(t)
	api, worker := documented(t, "bin/api"), documented(t, "bin/worker")
	for path, programs := range map[string][]map[string]string{
		filepath.Join(i.units(), "cellblock-api@.service"):    {api},
		filepath.Join(i.units(), "cellblock-worker@.service"): {worker},
		filepath.Join(i.root, "etc/cellblock/api.env"):        {api},
		filepath.Join(i.root, "etc/cellblock/worker.env"):     {worker},
		filepath.Join(i.root, "etc/cellblock/cellblock.env"):  {api, worker},
	} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		names := assignment.FindAllStringSubmatch(string(content), -1)
		if len(names) == 0 {
			t.Errorf("%s has no setting", path)
		}
		for _, name := range names {
			for _, program := range programs {
				if _, known := program[name[1]]; !known {
					t.Errorf("%s has %s, which is no setting", filepath.Base(path), name[1])
				}
			}
		}
	}
}

// TestStopsOutlastDrains compares how long systemd waits for a stop with how long the program may take.
func TestStopsOutlastDrains(t *testing.T) {
	t.Parallel()
	i := install(t)
	for _, c := range []struct {
		unit, program, setting string
		cleanup                time.Duration
	}{
		// The cleanups of the two: internal/app/api and internal/app/worker bound them.
		{"cellblock-api@.service", "bin/api", "SHUTDOWN_TIMEOUT", 10 * time.Second},
		{"cellblock-worker@.service", "bin/worker", "DRAIN_TIMEOUT", 60 * time.Second},
	} {
		unit := readFile(t, filepath.Join(i.units(), c.unit))
		stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(unit)
		if stop == nil {
			t.Fatalf("%s has no TimeoutStopSec in seconds", c.unit)
		}
		drain, err := time.ParseDuration(documented(t, c.program)[c.setting])
		if err != nil {
			t.Fatal(err)
		}
		seconds, err := time.ParseDuration(stop[1] + "s")
		if err != nil || seconds < drain+c.cleanup {
			t.Errorf("%s: TimeoutStopSec is %s, %s is %s (%v)", c.unit, stop[1], c.setting, drain, err)
		}
		if prevent := fmt.Sprintf("RestartPreventExitStatus=%d\n", 80); !strings.Contains(unit, prevent) {
			t.Errorf("%s restarts a program whose settings are wrong", c.unit)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
