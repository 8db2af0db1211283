package compose

import (
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsNameWhatExamplesNeed checks that requirements come before the commands.
func TestDocumentsNameWhatExamplesNeed(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../../README.md", "../../docs/callbacks.md", "../../docs/cli.md", "../../docs/docker.md", "../../clients/python/README.md"} {
		for section := range strings.SplitSeq(readFile(t, path), "\n## ") {
			title, _, _ := strings.Cut(section, "\n")
			prose := codeBlock.ReplaceAllString(section, "")
			shown := strings.Join(codeBlock.FindAllString(section, -1), "")
			if usesJQ.MatchString(shown) && !strings.Contains(prose, "needs `jq`") {
				t.Errorf("%s, %q: an example needs jq, which is not said", path, title)
			}
			if title != "Two commands" && strings.Contains(shown, "bin/cellblock up\n") && !strings.Contains(prose, "End the service that runs") {
				t.Errorf("%s, %q: a service is started where one runs already, which is not said", path, title)
			}
		}
	}
}

var (
	codeBlock = regexp.MustCompile("(?s)```.*?```")
	usesJQ    = regexp.MustCompile(`\bjq\b`)
)

// TestReadmeShowsASecondService checks for the three settings without which a second service is refused.
func TestReadmeShowsASecondService(t *testing.T) {
	t.Parallel()
	second := regexp.MustCompile(`(?m)^API_ADDR=\S+ METRICS_ADDR=\S+ CELLBLOCK_DATA=\S+ bin/cellblock up$`)
	if !second.MatchString(readFile(t, "../../README.md")) {
		t.Error("the README does not show how a second service is started")
	}
}
