package nsjail

import (
	"fmt"
	"strings"

	"cellblock/internal/jobs"
)

// render returns the nsjail configuration for this machine: with the system call policy, and with
// the size of /tmp, which no option of nsjail sets.
func render(config, policy string, limits jobs.Limits) (string, error) {
	config, err := WithPolicy(config, policy)
	if err != nil {
		return "", err
	}
	standard := tmpfsSize(jobs.DefaultLimits().TmpBytes)
	if !strings.Contains(config, standard) {
		return "", fmt.Errorf("the nsjail configuration has no mount with %q for /tmp", standard)
	}
	return strings.ReplaceAll(config, standard, tmpfsSize(limits.TmpBytes)), nil
}

func tmpfsSize(bytes int64) string { return fmt.Sprintf("size=%d,", bytes) }

// readOnly returns the configuration of further read-only mounts, each "path" or "path:path
// inside". Unlike nsjail's option for them, it disables setuid bits and devices.
func readOnly(mounts ...string) string {
	var entries strings.Builder
	for _, mount := range mounts {
		from, to, different := strings.Cut(mount, ":")
		if !different {
			to = from
		}
		fmt.Fprintf(&entries, "mount { src: %q dst: %q is_bind: true nosuid: true nodev: true }\n", from, to)
	}
	return entries.String()
}
