package jail

import (
	"errors"
	"strconv"
	"strings"
)

const (
	policyBegin = "# BEGIN seccomp\n"
	policyEnd   = "# END seccomp\n"
)

// WithPolicy returns the nsjail configuration with the Kafel policy in its marked block. It returns an error if the
// block is missing.
func WithPolicy(config, policy string) (string, error) {
	head, rest, found := strings.Cut(config, policyBegin)
	_, tail, closed := strings.Cut(rest, policyEnd)
	if !found || !closed {
		return "", errors.New("the nsjail configuration has no block between '# BEGIN seccomp' and '# END seccomp'")
	}
	var block strings.Builder
	for line := range strings.Lines(policy) {
		block.WriteString("  " + strconv.Quote(line) + "\n")
	}
	return head + policyBegin + "seccomp_string:\n" + block.String() + policyEnd + tail, nil
}
