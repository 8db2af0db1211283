package nsjail

import (
	"errors"
	"strconv"
	"strings"
)

const (
	policyBegin = "# BEGIN seccomp\n"
	policyEnd   = "# END seccomp\n"
)

// WithPolicy puts a Kafel policy into the marked block of an nsjail configuration.
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
