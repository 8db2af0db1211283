package compose

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"cellblock/test/stack"
)

// TestExampleNamesEverySetting compares the names and defaults in .env.example and docker-compose.yml with the
// programs' --help.
func TestExampleNamesEverySetting(t *testing.T) {
	t.Setenv("CELLBLOCK_PREFIX", "")
	programs, err := stack.FindOrBuild(t.Context(), os.Getenv("COMPOSE_PROGRAMS"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]map[string]string{
		"api":    settingsOf(t, programs.API),
		"worker": settingsOf(t, programs.Worker),
	}
	compose := readFile(t, "../../docker-compose.yml")
	example := exampleSettings(t)
	passedOn := map[string]bool{} // by all services
	for service, own := range settings {
		passed := environmentOf(t, compose, service)
		for name := range passed {
			passedOn[name] = true
		}
		for name, value := range own {
			given, named := example[name]
			switch {
			case name == "API_ADDR": // set in the image; API_HOST and API_PORT are the published address
			case !named:
				t.Errorf(".env.example does not name %s of the %s", name, service)
			case given != value && !containerDefaults[name]:
				t.Errorf(".env.example has %s=%s, and the %s's default is %s", name, given, service, value)
			case !passed[name]:
				t.Errorf("docker-compose.yml does not pass %s to the %s", name, service)
			}
		}
	}
	for name := range example {
		_, api := settings["api"][name]
		_, worker := settings["worker"][name]
		// OpenTelemetry's SDK reads its variables; they have no flags.
		isSDK := strings.HasPrefix(name, "OTEL_") && passedOn[name]
		if !api && !worker && !isSDK &&
			!strings.Contains(compose+readFile(t, "../../deploy/compose/unprivileged.yml"), "${"+name) {
			t.Errorf(".env.example names %s, which nothing reads", name)
		}
	}
	// The worker's defaults for the sandbox's Python and nsjail are the paths that make uses.
	t.Setenv("CELLBLOCK_PREFIX", "/elsewhere")
	worker := settingsOf(t, programs.Worker)
	if worker["NSJAIL"] != "/elsewhere/bin/nsjail" || worker["SANDBOX_PYTHON"] != "/elsewhere/bin/python3" {
		t.Errorf("with a prefix the worker takes %s and %s", worker["NSJAIL"], worker["SANDBOX_PYTHON"])
	}
}

// containerDefaults are the settings that have another default in containers.
var containerDefaults = map[string]bool{
	"REDIS_URL": true, "METRICS_ADDR": true, "FILES_URL": true, "ALLOWED_HOSTS": true,
}

var (
	flagOfHelp = regexp.MustCompile(`--(?:\[no-\])?([a-z-]+)(?:=("[^"]*"|\S+))?`)
	// placeholder matches the text that --help shows for a missing default.
	placeholder = regexp.MustCompile(`^[A-Z][A-Z-]+$`)
	nameOfHelp  = regexp.MustCompile(`\(\$([A-Z_]+)\)`)
)

// settingsOf reads a program's environment variables and their defaults from its help. A flag without a value is a
// switch: one that is on can be turned off by --no-.
func settingsOf(t *testing.T, program string) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	text := string(out)
	for at := nameOfHelp.FindStringSubmatchIndex(text); at != nil; at = nameOfHelp.FindStringSubmatchIndex(text) {
		flags := flagOfHelp.FindAllStringSubmatch(text[:at[0]], -1)
		last := flags[len(flags)-1]
		value := strings.TrimSuffix(strings.Trim(last[2], `"`), ",...")
		if !strings.Contains(last[0], "=") {
			value = strconv.FormatBool(strings.Contains(last[0], "[no-]"))
		} else if placeholder.MatchString(value) {
			value = ""
		}
		found[text[at[2]:at[3]]] = value
		text = text[at[1]:]
	}
	if len(found) < 5 {
		t.Fatalf("%s --help tells of %d settings only", program, len(found))
	}
	return found
}

func exampleSettings(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(readFile(t, "../../.env.example")) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "#"), "=")
		if ok && regexp.MustCompile(`^[A-Z_]+$`).MatchString(name) {
			found[name] = value
		}
	}
	return found
}

func environmentOf(t *testing.T, compose, service string) map[string]bool {
	t.Helper()
	var file struct {
		Services map[string]struct {
			Environment map[string]any `yaml:"environment"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(compose), &file); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for name := range file.Services[service].Environment {
		names[name] = true
	}
	return names
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestEveryServiceComesBack checks that Docker restarts each container that exits, in both compose files.
func TestEveryServiceComesBack(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../../docker-compose.yml", "../../deploy/compose/single.yml"} {
		var file struct {
			Services map[string]struct {
				Restart string `yaml:"restart"`
			} `yaml:"services"`
		}
		if err := yaml.Unmarshal([]byte(readFile(t, path)), &file); err != nil {
			t.Fatal(err)
		}
		if len(file.Services) == 0 {
			t.Errorf("%s has no services", path)
		}
		for name, service := range file.Services {
			if service.Restart != "unless-stopped" {
				t.Errorf("%s: the restart policy of %s is %q", path, name, service.Restart)
			}
		}
	}
}
