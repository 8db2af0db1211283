package conformance

import "testing"

// TestCases runs every script of cases/ and compares.
func TestCases(t *testing.T) {
	for topic, cases := range loadCases(t) {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					runCase(t, c)
				})
			}
		})
	}
}

// runCase runs the script, and then reads the same outcome again under its id.
func runCase(t *testing.T, c testCase) {
	t.Helper()
	base := standard.URL
	if c.Tight {
		base = tight.URL
	}
	a := execute(t, base, c.Script)
	checkAnswer(t, c, a)
	if a.JobID == "" {
		return
	}
	again := read(t, base, a.JobID, "")
	status := "succeeded"
	if c.Code != "" {
		status = "failed"
	}
	equal(t, "status of the job", again.Status, status)
	checkOutcome(t, c, again)
}
