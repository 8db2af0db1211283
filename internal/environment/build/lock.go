package build

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	comment = regexp.MustCompile(`(^|\s+)#.*$`)
	// wholeComment is a line that pip does not join with the next one, whatever it ends with.
	wholeComment = regexp.MustCompile(`^\s*#`)
	// pinned is a requirement by name and exact version. pip installs a URL or a path even from a source
	// distribution, whatever --only-binary asks for.
	pinned = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?\s*==\s*[^\s*]+(\s|$)`)
	// hashOption is the one option that a requirement may have: pip takes --no-binary there too.
	hashOption = regexp.MustCompile(`^--hash=[a-z0-9]+:[0-9a-f]+$`)
	// requirementName is the name that a requirement begins with.
	requirementName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*`)
	// fileOption are the options that read another file; pip takes abbreviations of long ones.
	fileOption = regexp.MustCompile(`(^|\s)(-r|-c|--requirem|--cons)`)
	findLinks  = regexp.MustCompile(`(^|\s)(-f\s+|--find-links(?:\s+|=))(\S+)`)
)

// lineBreaks are what pip takes for the end of a line besides \n and \r\n, as Python's str.splitlines does.
const lineBreaks = "\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029"

// requirements returns the lines of a lock file as pip reads them: joined, and without comments.
func requirements(lock []byte) []string {
	var lines []string
	var begun strings.Builder
	end := func() {
		if line := strings.TrimSpace(comment.ReplaceAllString(begun.String(), "")); line != "" {
			lines = append(lines, line)
		}
		begun.Reset()
	}
	for line := range strings.Lines(string(lock)) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		switch {
		case wholeComment.MatchString(line):
			begun.WriteString(" " + line)
			end()
		case strings.HasSuffix(line, `\`):
			begun.WriteString(strings.Trim(line, `\`))
		default:
			begun.WriteString(line)
			end()
		}
	}
	end()
	return lines
}

// checkLock returns an error for a lock file that could make pip run a source distribution's setup, or read another
// file, whose content would not be in the environment's hash.
func checkLock(lock []byte, allowSource bool) error {
	if !utf8.Valid(lock) {
		return errors.New("it is not UTF-8; `make lock` writes such a file")
	}
	for _, line := range requirements(lock) {
		isOption := strings.HasPrefix(line, "-")
		switch {
		case strings.ContainsAny(line, lineBreaks):
			return fmt.Errorf("%q has a character that pip takes for the end of a line; `make lock` writes a file "+
				"without", line)
		case isOption && fileOption.MatchString(line):
			return fmt.Errorf("%q reads another file; a lock file stands alone (`make lock` writes one)", line)
		case allowSource:
		case isOption && !isHarmless(line):
			return fmt.Errorf("%q has an option that could make pip install something else than pinned wheels; a lock "+
				"file may have --index-url, --extra-index-url, --find-links, --no-index and --only-binary :all:, "+
				"without quotes (--allow-source-builds allows others)", line)
		case !isOption && !isPinned(line):
			return fmt.Errorf("%q is no package pinned by == and a version, with no option but --hash; `make lock` "+
				"writes such a file, and --allow-source-builds allows others (their setup runs as this user, outside "+
				"any sandbox)", line)
		}
	}
	return nil
}

// isPinned reports whether a requirement is pinned and has no option but hashes.
func isPinned(line string) bool {
	inOptions := false
	for _, word := range strings.Fields(line) {
		if inOptions = inOptions || strings.HasPrefix(word, "-"); inOptions && !hashOption.MatchString(word) {
			return false
		}
	}
	return pinned.MatchString(line)
}

// isHarmless reports whether a line of options only names where wheels are, or asks for wheels.
func isHarmless(line string) bool {
	if strings.ContainsAny(line, `"'\`) { // pip splits the line as a shell does
		return false
	}
	for words := strings.Fields(line); len(words) > 0; {
		option, value, joined := strings.Cut(words[0], "=")
		words = words[1:]
		switch option {
		case "--no-index":
			if joined {
				return false
			}
			continue
		case "-i", "-f", "--index-url", "--extra-index-url", "--find-links", "--only-binary":
		default:
			return false
		}
		if !joined {
			if len(words) == 0 {
				return false
			}
			value, words = words[0], words[1:]
		}
		if option == "--only-binary" && value != ":all:" {
			return false
		}
	}
	return true
}

// checkedLock returns the text of a lock file for pip: the lines that checkLock has seen, and no others. It can be in
// another folder than dir, that of the lock file, to which paths of --find-links are relative.
func checkedLock(lock []byte, dir string) []byte {
	var text strings.Builder
	for _, line := range requirements(lock) {
		if strings.HasPrefix(line, "-") {
			line = findLinks.ReplaceAllStringFunc(line, func(option string) string {
				parts := findLinks.FindStringSubmatch(option)
				path := filepath.Join(dir, parts[3])
				if filepath.IsAbs(parts[3]) || !exists(path) { // an URL, or relative to the folder of this process
					return option
				}
				return parts[1] + parts[2] + "'" + strings.ReplaceAll(path, "'", `'"'"'`) + "'"
			})
		}
		text.WriteString(line + "\n")
	}
	return []byte(text.String())
}
