package store_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
)

// TestInputs are there for whoever takes the job, byte for byte, and gone with
// its end, however that comes.
func TestInputs(t *testing.T) {
	s, client := open(t)
	binary := make([]byte, 1<<16)
	for i := range binary {
		binary[i] = byte(i)
	}
	for name, inputs := range map[string]*jobs.Inputs{
		"none": nil,
		"all": {
			Args: jsontext.Value(`{"a":3.0}`), Stdin: "é\n\x00", Env: map[string]string{"A": "b\nc"},
			Files:  []jobs.File{{Path: "a\nb", Content: binary}, {Path: "empty", Content: []byte{}}, {Path: "c", Content: []byte("\n")}},
			Limits: jobs.AskedLimits{Wall: 1500 * time.Microsecond, CPU: time.Second, MemoryBytes: 1, Processes: 2, OutputBytes: 3},
		},
		"limits only": {Limits: jobs.AskedLimits{Wall: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			job := create(t, s, func(j *jobs.Job) { j.Inputs = inputs })
			key := "cellblock:{" + job.ID + "}:inputs"
			for range 2 { // each delivery
				got, _, _, err := s.Take(t.Context(), job.ID, "worker")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(inputs, got.Inputs); diff != "" {
					t.Errorf("not as they were (-want +got):\n%.1000s", diff)
				}
			}
			if n := client.Exists(t.Context(), key).Val(); (n == 1) != (inputs != nil) {
				t.Errorf("%d keys of inputs", n)
			}
			if !end(t, s, job.ID, succeeded("1")) {
				t.Error("the end does not stand")
			}
			if n := client.Exists(t.Context(), key).Val(); n != 0 {
				t.Error("the inputs are left after the end")
			}
		})
	}
}
