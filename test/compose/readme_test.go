package compose

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsNameWhatExamplesNeed checks that requirements come before the commands.
func TestDocumentsNameWhatExamplesNeed(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"../../README.md", "../../docs/api.md", "../../docs/webhooks.md", "../../docs/cli.md",
		"../../docs/configuration.md",
		"../../docs/docker.md", "../../docs/operations.md", "../../clients/python/README.md",
	} {
		for section := range strings.SplitSeq(readFile(t, path), "\n## ") {
			title, _, _ := strings.Cut(section, "\n")
			prose := codeBlock.ReplaceAllString(section, "")
			shown := strings.Join(codeBlock.FindAllString(section, -1), "")
			if usesJQ.MatchString(shown) && !strings.Contains(prose, "needs `jq`") {
				t.Errorf("%s, %q: an example needs jq, and the text does not name it", path, title)
			}
			first := secondService.ReplaceAllString(shown, "")
			if strings.Contains(first, "bin/cellblock up\n") && !strings.Contains(prose, "Stop the running service") {
				t.Errorf("%s, %q: a service is started where one runs already, and the text does not say to stop it",
					path, title)
			}
		}
	}
}

var (
	codeBlock = regexp.MustCompile("(?s)```.*?```")
	usesJQ    = regexp.MustCompile(`\bjq\b`)
	// secondService matches a command with the three settings without which a second service is refused.
	secondService = regexp.MustCompile(`(?m)^API_ADDR=\S+ METRICS_ADDR=\S+ CELLBLOCK_DATA=\S+ bin/cellblock up$`)
)

// TestDocumentsShowASecondService checks for the three settings without which a second service is refused.
func TestDocumentsShowASecondService(t *testing.T) {
	t.Parallel()
	if !secondService.MatchString(readFile(t, "../../docs/operations.md")) {
		t.Error("docs/operations.md does not show how a second service is started")
	}
}

// TestReadmeNamesRealSettings checks that each setting of the README's table is in docs/configuration.md, which is made
// from the programs' help.
func TestReadmeNamesRealSettings(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(readFile(t, "../../README.md"), "\n## Settings\n")
	section, _, _ = strings.Cut(section, "\n## ")
	names := regexp.MustCompile("(?m)`([A-Z][A-Z_]+)`[^|\n]*\\|").FindAllStringSubmatch(section, -1)
	if len(names) < 5 {
		t.Fatalf("the README's table has %d settings", len(names))
	}
	configuration := readFile(t, "../../docs/configuration.md")
	for _, name := range names {
		if !strings.Contains(configuration, "\n| `"+name[1]+"` | `--") {
			t.Errorf("docs/configuration.md does not have %s of the README", name[1])
		}
	}
}

var (
	relativeLink = regexp.MustCompile(`\]\(([^)\s:#]*)(?:#([^)\s]+))?\)`)
	headline     = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinksLead checks that the relative links of the documents lead to files and headings that exist.
func TestLinksLead(t *testing.T) {
	t.Parallel()
	var documents []string
	for _, pattern := range []string{
		"*.md", "docs/*.md", "docs/adr/*.md", "clients/*/*.md",
		"runner/*.md", "test/*.md",
	} {
		found, err := filepath.Glob("../../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, found...)
	}
	for _, document := range documents {
		for _, link := range relativeLink.FindAllStringSubmatch(codeBlock.ReplaceAllString(readFile(t, document), ""),
			-1) {
			target := document
			if link[1] != "" {
				target = filepath.Join(filepath.Dir(document), link[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", document, err)
			} else if link[2] != "" && !anchors(readFile(t, target))[link[2]] {
				t.Errorf("%s: %s does not have the heading #%s", document, target, link[2])
			}
		}
	}
}

// anchors returns the names by which links reach the headings of a Markdown text, as GitHub makes them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, title := range headline.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
		plain := notInAnchors.ReplaceAllString(strings.ToLower(title[1]), "")
		found[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return found
}
