package metrics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"cellblock/test/stack"
)

const webhookSecret = "whsec_c2VjcmV0LW9mLXRoZS1zZXJ2aWNlLTEyMzQ1Njc4OTA="

var (
	programs stack.Programs
	// environments are those that workers have besides the default.
	environments stack.Environment
)

func TestMain(m *testing.M) { stack.Main(m, "metrics", run) }

func run(m *testing.M) (code int, err error) {
	stack.RunAtOnce(3)
	dir, err := os.MkdirTemp("", "cellblock-metrics-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if programs, err = stack.FindOrBuild(context.Background(), os.Getenv("METRICS_PROGRAMS"), dir); err != nil {
		return 1, err
	}
	if environments, err = stack.OpenEnvironment(""); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, environments.Close()) }()
	return m.Run(), nil
}

// service is a stack with one worker, and where the worker serves its metrics.
type service struct {
	*stack.Stack

	worker  *stack.Process
	metrics string
	// isKilled reports that a process was killed.
	isKilled bool
}

func start(t *testing.T, worker stack.Env) *service {
	t.Helper()
	env := stack.Env{
		"METRICS_ADDR": "127.0.0.1:0", "WORKER_CONCURRENCY": "2", "PRELOAD": "", "PRELOAD_ON_DEMAND": "",
	}
	for name, value := range worker {
		env[name] = value
	}
	running, err := stack.Start(t.Context(), stack.Config{
		Programs: programs, Workers: []stack.Env{env},
		API: stack.Env{
			"CALLBACK_SECRET": webhookSecret, "CALLBACK_ALLOW": "127.0.0.0/8", "METRICS_TENANTS": "acme",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Stack: running, worker: running.Workers()[0]}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		if err := s.Stop(); err != nil && !s.isKilled {
			t.Error(err)
		}
	})
	s.metrics = "http://" + s.worker.Logged("serving metrics", "addr", nil)
	return s
}

// execute submits a job with further fields of the request.
func (s *service) execute(t *testing.T, script string, fields map[string]any) {
	t.Helper()
	body := map[string]any{"script": script}
	for name, value := range fields {
		body[name] = value
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(s.URL+"/execute", "application/json", strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest && response.StatusCode != http.StatusUnprocessableEntity {
		answer, err := io.ReadAll(response.Body)
		t.Fatalf("%s: %s %v", response.Status, answer, err)
	}
}

// family is a metric of a scrape.
type family struct {
	kind string
	// series are the label sets, and values the values of gauges and counters, or the counts of histograms.
	series []map[string]string
	values []float64
}

// scrape returns the metrics of an address whose names begin with cellblock_.
func scrape(t *testing.T, base string) map[string]family {
	t.Helper()
	response, err := http.Get(base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	parsed, err := parser.TextToMetricFamilies(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", base, response.Status, err)
	}
	families := map[string]family{}
	for name, of := range parsed {
		if !strings.HasPrefix(name, "cellblock_") {
			continue
		}
		f := family{kind: strings.ToLower(of.GetType().String())}
		for _, metric := range of.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			f.series = append(f.series, labels)
			f.values = append(f.values, metric.GetGauge().GetValue()+metric.GetCounter().GetValue()+
				float64(metric.GetHistogram().GetSampleCount()))
		}
		families[name] = f
	}
	return families
}

// value returns the sum of the series of a metric that have a label's value ("" for all), and whether there is one.
func value(families map[string]family, name, label, wanted string) (sum float64, found bool) {
	f := families[name]
	for i, labels := range f.series {
		if label == "" || labels[label] == wanted {
			sum, found = sum+f.values[i], true
		}
	}
	return sum, found
}

// await scrapes until done reports true.
func await(t *testing.T, base, what string, done func(map[string]family) bool) map[string]family {
	t.Helper()
	var last map[string]family
	for deadline := time.Now().Add(stack.Scaled(20 * time.Second)); time.Now().Before(deadline); {
		if last = scrape(t, base); done(last) {
			return last
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: %+v", what, last)
	return nil
}
