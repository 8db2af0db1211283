package escape

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/test/stack"
)

// answer has the fields of a response that attempts are verified by.
type answer struct {
	Result    jsontext.Value `json:"result"`
	Code      string         `json:"code"`
	Signal    string         `json:"signal"`
	Error     string         `json:"error"`
	Traceback string         `json:"traceback"`
	Stdout    string         `json:"stdout"`
	Stderr    string         `json:"stderr"`
	Usage     struct {
		CPUMS           *float64 `json:"cpu_ms"`
		MemoryPeakBytes *int64   `json:"memory_peak_bytes"`
	} `json:"usage"`
	Files []struct {
		Name string `json:"name"`
	} `json:"files"`
	body string
	took time.Duration
}

// clientBound is longer than any attempt may take.
const clientBound = 60 * time.Second

// TestAttempts runs every attempt in both kinds of sandbox. None may succeed.
func TestAttempts(t *testing.T) {
	all := loadAttempts(t)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Cleanup(func() { checkUnharmed(t, k) })
			for _, name := range slices.Sorted(maps.Keys(all)) {
				a := all[name]
				if a.only != "" && a.only != k.name || strings.HasPrefix(name, "beside/") {
					continue
				}
				t.Run(name, func(t *testing.T) {
					// Attempts with a neighbour compete for the machine, so they run alone.
					if a.beside == "" {
						t.Parallel()
					}
					began := time.Now()
					runAttempt(t, k, a, all)
					word := "held"
					if t.Failed() {
						word = "FAILED"
					}
					fmt.Printf("%-6s %s  %-44s %5.2f s\n", word, k.name, name, time.Since(began).Seconds())
				})
			}
		})
	}
}

// marks counts the attempts of this run.
var marks atomic.Uint64

// runAttempt runs one attempt, and the one beside it, and checks the results.
func runAttempt(t *testing.T, k *kind, a *attempt, all map[string]*attempt) {
	t.Helper()
	s := k.standard
	if a.limits == "tight" {
		s = k.tight
	}
	var neighbour sync.WaitGroup
	defer neighbour.Wait()
	if a.beside != "" {
		other := all[a.beside]
		if other == nil {
			t.Fatalf("there is no %q", a.beside)
		}
		neighbour.Go(func() { other.verify(t, execute(t, s, other.scriptWith(newMark()), other.request)) })
		time.Sleep(stack.Scaled(300 * time.Millisecond)) // it is running by then
	}
	mark := newMark()
	got := execute(t, s, a.scriptWith(mark), a.request)
	a.verify(t, got)
	for deadline := time.Now().Add(stack.Scaled(2 * time.Second)); ; time.Sleep(10 * time.Millisecond) {
		left := stack.ProcessesMatching(mark)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("processes are left: %v", left)
			break
		}
	}
	for _, check := range a.outside {
		outsideChecks[check](t, s, got)
	}
}

// newMark returns a unique number that sleep(1) accepts.
func newMark() string {
	return "3" + strconv.Itoa(os.Getpid()) + "." + strconv.FormatUint(1_000_000+marks.Add(1), 10)
}

// scriptWith returns the script to send: the prelude, and the script with its marks.
func (a *attempt) scriptWith(mark string) string {
	prelude, err := os.ReadFile("prelude.py")
	if err != nil {
		panic(err)
	}
	table, err := os.ReadFile("syscalls.txt")
	if err != nil {
		panic(err)
	}
	text := string(prelude) + a.script
	if !strings.Contains(text, "{{syscalls}}") {
		table = nil
	}
	return strings.NewReplacer("{{mark}}", mark, "{{canary}}", canary, "{{syscalls}}", string(table)).Replace(text)
}

// verify compares the response with the header's fields.
func (a *attempt) verify(t *testing.T, got answer) {
	t.Helper()
	if got.took > stack.Scaled(a.within) {
		t.Errorf("%s took %s, at most %s is right", a.name, got.took, a.within)
	}
	a.verifyFiles(t, got)
	saw := string(got.Result)
	if got.Code != "" {
		saw = strings.TrimSpace(got.Code + " " + got.Signal)
	}
	wanted := a.inside
	if stack.InGVisor() && a.gvisor != "" {
		wanted = a.gvisor
	}
	if !matches(t, saw, wanted) {
		t.Errorf("%s: saw %.3000s\nwant %s\n%s (%s)\n%.2000s", a.name, saw, wanted, a.tries, a.protection, got.body)
	}
}

// matches reports whether a response is one of the alternatives, or matches the regular expression after "~".
func matches(t *testing.T, saw, wanted string) bool {
	t.Helper()
	if pattern, ok := strings.CutPrefix(wanted, "~"); ok {
		expression, err := regexp.Compile("^(?:" + strings.TrimSpace(pattern) + ")$")
		if err != nil {
			t.Fatal(err)
		}
		return expression.MatchString(saw)
	}
	for alternative := range strings.SplitSeq(wanted, "|") {
		if saw == strings.TrimSpace(alternative) {
			return true
		}
	}
	return false
}

// verifyFiles compares the names of the files with those in the header.
func (a *attempt) verifyFiles(t *testing.T, got answer) {
	t.Helper()
	if a.files == nil {
		return
	}
	var files []string
	for _, file := range got.Files {
		files = append(files, file.Name)
	}
	if list := strings.Join(files, ", "); !slices.Contains(strings.Split(*a.files, "|"), list) {
		t.Errorf("%s: the files are %q, want %q", a.name, list, *a.files)
	}
}

// execute sends a script, with further fields of the request, and waits for the response.
func execute(t *testing.T, s *stack.Stack, script string, fields map[string]jsontext.Value) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stack.Scaled(clientBound))
	defer cancel()
	all := map[string]any{"script": script}
	for name, value := range fields {
		all[name] = value
	}
	environment.AddTo(all)
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/execute", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return answer{Code: "no answer"}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	got := answer{body: string(text), took: time.Since(began)}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Errorf("not JSON: %v: %.500s", err, text)
	}
	return got
}
