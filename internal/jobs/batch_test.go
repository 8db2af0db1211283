package jobs_test

import (
	"strings"
	"testing"

	"cellblock/internal/jobs"
)

func TestAnInvalidLineAffectsNoOther(t *testing.T) {
	t.Parallel()
	body := strings.Join([]string{
		"\ufeff" + `{"script":"def main(): return 1","args":{"n":1}}`, "\r", "   ",
		`{"script":"x","priority":"low"}` + "\r",
		`{"script":"x","priority":"high"}`,
		`{"scrpt":"x"}`, `{"script":`, "{\"script\":\"\xff\"}", `[]`,
		`{"script":"` + strings.Repeat("x", jobs.MaxScriptBytes+1) + `"}`,
		`{"script":"last"}`,
	}, "\n")
	lines, err := jobs.DecodeBatch([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := []jobs.Code{
		"", "", jobs.CodeInvalidRequest, jobs.CodeInvalidRequest, jobs.CodeInvalidRequest,
		jobs.CodeInvalidRequest, jobs.CodeInvalidRequest, jobs.CodeScriptTooLarge, "",
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines {
		switch {
		case want[i] == "" && (line.Err != nil || !line.Request.Async || line.Request.Priority != jobs.PriorityBatch):
			t.Errorf("line %d: %+v", i, line)
		case want[i] != "" && (line.Err == nil || jobs.CodeOf(line.Err) != want[i]):
			t.Errorf("line %d: %v, want %s", i, line.Err, want[i])
		}
	}
	if lines[8].Request.Script != "last" || string(lines[0].Request.Inputs.Args) != `{"n":1}` {
		t.Error("lines are not what they were")
	}
}

func TestTheSizeOfABatch(t *testing.T) {
	t.Parallel()
	line := `{"script":"x"}` + "\n"
	for n, valid := range map[int]bool{0: false, 1: true, jobs.MaxBatch: true, jobs.MaxBatch + 1: false} {
		lines, err := jobs.DecodeBatch([]byte(strings.Repeat(line, n)))
		if (err == nil) != valid || valid && len(lines) != n {
			t.Errorf("%d lines: %d, %v", n, len(lines), err)
		}
	}
}
