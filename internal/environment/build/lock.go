package build

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	continuation = regexp.MustCompile(`\\\r?\n`)
	comment      = regexp.MustCompile(`(^|\s)#.*$`)
	// pinned is a requirement by name and exact version. pip installs a URL or a path even from a source
	// distribution, whatever --only-binary asks for.
	pinned = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?\s*==\s*[^\s*]+(\s|$)`)
	// harmless are the options that only name where wheels are.
	harmless = regexp.MustCompile(
		`^(-i|-f|--index-url|--extra-index-url|--find-links|--no-index|--only-binary)([\s=]|$)`)
	// requirementName is the name that a requirement begins with.
	requirementName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*`)
)

// requirements returns the lines of a lock file as pip reads them: joined, and without comments.
func requirements(lock []byte) []string {
	var lines []string
	for line := range strings.Lines(continuation.ReplaceAllString(string(lock), " ")) {
		line = strings.TrimSpace(comment.ReplaceAllString(strings.TrimRight(line, "\r\n"), ""))
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// checkLock returns an error for a lock file that could make pip run a source distribution's setup, or read another
// file, whose content would not be in the environment's hash.
func checkLock(lock []byte, allowSource bool) error {
	for _, line := range requirements(lock) {
		switch {
		case harmless.MatchString(line):
		case strings.HasPrefix(line, "-r"), strings.HasPrefix(line, "-c"),
			strings.HasPrefix(line, "--requirement"), strings.HasPrefix(line, "--constraint"):
			return fmt.Errorf("%q reads another file; a lock file stands alone (`make lock` writes one)", line)
		case allowSource:
		case !pinned.MatchString(line):
			return fmt.Errorf("%q is no package pinned by == and a version; `make lock` writes such a file, and "+
				"--allow-source-builds allows others (their setup runs as this user, outside any sandbox)", line)
		}
	}
	return nil
}
