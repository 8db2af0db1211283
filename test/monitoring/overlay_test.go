package monitoring

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var pinned = regexp.MustCompile(`^[a-z]+/[a-z]+:v?\d+\.\d+\.\d+$`)

// TestOverlay checks that what the overlay adds listens on this machine only, has pinned versions, lets visitors of
// Grafana only read, and mounts files that exist.
func TestOverlay(t *testing.T) {
	t.Parallel()
	var overlay struct {
		Services map[string]struct {
			Image       string            `yaml:"image"`
			Ports       []string          `yaml:"ports"`
			Volumes     []string          `yaml:"volumes"`
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	readYAML(t, "../../deploy/monitoring/compose.yml", &overlay)
	for _, name := range []string{"prometheus", "grafana"} {
		service := overlay.Services[name]
		if !pinned.MatchString(service.Image) {
			t.Errorf("%s has the image %q", name, service.Image)
		}
		if len(service.Ports) != 1 || !strings.HasPrefix(service.Ports[0], "127.0.0.1:") {
			t.Errorf("%s listens on %q", name, service.Ports)
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, err := os.Stat(filepath.Join("../..", source)); strings.HasPrefix(source, ".") && err != nil {
				t.Errorf("%s mounts %s: %v", name, volume, err)
			}
		}
	}
	for _, name := range []string{"api", "worker"} {
		if ports := overlay.Services[name].Ports; len(ports) != 0 {
			t.Errorf("%s publishes %q", name, ports)
		}
	}
	grafana := overlay.Services["grafana"].Environment
	if grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] != "Viewer" ||
		grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] != "true" ||
		grafana["GF_SECURITY_ADMIN_PASSWORD"] != "" {
		t.Errorf("Grafana has %v", grafana)
	}
}
