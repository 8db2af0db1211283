package conformance

import (
	"fmt"
	"testing"
)

// TestCases runs every script of cases/ in each kind of sandbox.
func TestCases(t *testing.T) {
	topics := loadCases(t, "cases/*.yaml")
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		runTopics(t, k, topics)
	})
}

// TestPublicCases runs the cases seen in public. They are about Python and its packages, which are
// the same in all kinds of sandbox, so one kind runs them.
func TestPublicCases(t *testing.T) {
	t.Parallel()
	topics := loadCases(t, "cases/public/*.yaml")
	// Nested as deep as TestCases, so that one -run pattern finds a case in both.
	t.Run(kinds[0].name, func(t *testing.T) {
		t.Parallel()
		runTopics(t, kinds[0], topics)
	})
}

func runTopics(t *testing.T, k *kind, topics map[string][]testCase) {
	t.Helper()
	for topic, cases := range topics {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				if !canSatisfy(k, c) {
					continue
				}
				t.Run(c.title(), func(t *testing.T) {
					t.Parallel()
					for range c.Times {
						runCase(t, k, c)
					}
				})
			}
		})
	}
}

// runCase runs the script, and then reads the same outcome by its id.
func runCase(t *testing.T, k *kind, c testCase) {
	t.Helper()
	base := k.standard.URL
	if c.Tight {
		base = k.tight.URL
	}
	a := executeWith(t, base, c.Script, c.Request)
	checkAnswer(t, c, a)
	checkFiles(t, base, c, a)
	if a.JobID == "" {
		return
	}
	again := read(t, base, a.JobID, "")
	status := "succeeded"
	if c.Code != "" {
		status = "failed"
	}
	checkEqual(t, "status of the job", again.Status, status)
	checkOutcome(t, c, again)
	checkEqual(t, "files read again", fmt.Sprint(again.Files), fmt.Sprint(a.Files))
}
