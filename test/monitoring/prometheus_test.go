package monitoring

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

// prometheus is a running server that scrapes each second.
type prometheus struct{ url string }

// startPrometheus starts Prometheus with static.yml and its rules. The addresses take the places of those in the file.
func startPrometheus(t *testing.T, apis, workers []string) prometheus {
	t.Helper()
	dir := t.TempDir()
	config := readFile(t, prometheusDir+"static.yml")
	for _, change := range [][2]string{
		{`"192.0.2.10:9090", "192.0.2.11:9090"`, strings.Join(apis, ", ")},
		{`"192.0.2.21:9091", "192.0.2.22:9091"`, strings.Join(workers, ", ")},
		{"scrape_interval: 15s", "scrape_interval: 1s"},
		{"evaluation_interval: 15s", "evaluation_interval: 1s"},
	} {
		if strings.Count(config, change[0]) != 1 {
			t.Fatalf("static.yml does not have %s once", change[0])
		}
		config = strings.Replace(config, change[0], change[1], 1)
	}
	for name, content := range map[string]string{"static.yml": config, "rules.yml": readFile(t, rulesFile)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close() // Prometheus does not log the port that port 0 becomes
	p := prometheus{url: "http://" + address}
	process, err := stack.StartProgram(t.Context(), "prometheus", []string{
		"--config.file=" + filepath.Join(dir, "static.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + address,
	}, nil, p.isReady)
	if err != nil {
		t.Fatalf("%v; scripts/setup --monitoring installs it", err)
	}
	t.Cleanup(func() {
		if err := process.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p prometheus) isReady() bool {
	response, err := http.Get(p.url + "/-/ready")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// get reads from Prometheus's API.
func (p prometheus) get(path string, into any) error {
	response, err := http.Get(p.url + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, content)
	}
	return json.Unmarshal(content, into)
}

// values returns the values of an instant query that are numbers.
func (p prometheus) values(expr string) (values []float64, err error) {
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := p.get("/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		return nil, err
	}
	for _, sample := range answer.Data.Result {
		text, _ := sample.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		if !math.IsNaN(value) { // a quantile of nothing
			values = append(values, value)
		}
	}
	return values, nil
}

// dueAlerts returns the alerts whose expression is true now, by name, with a description: they fire, or will.
func (p prometheus) dueAlerts() (map[string]string, error) {
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"alerts"`
		} `json:"data"`
	}
	if err := p.get("/api/v1/alerts", &answer); err != nil {
		return nil, err
	}
	due := map[string]string{}
	for _, a := range answer.Data.Alerts {
		due[a.Labels["alertname"]] = a.Annotations["summary"] + ": " + a.Annotations["description"]
	}
	return due, nil
}

// awaitDue waits until each of the alerts is due, and checks that their texts are complete.
func (p prometheus) awaitDue(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		await(t, "alert "+name, func() error {
			due, err := p.dueAlerts()
			switch text, isDue := due[name]; {
			case err != nil:
				return err
			case !isDue:
				return fmt.Errorf("not due; others are: %v", due)
			case strings.Contains(text, "error expanding") || strings.Contains(text, "<no value>"):
				t.Fatalf("%s: %s", name, text)
			default:
				t.Logf("%s: %s", name, text)
			}
			return nil
		})
	}
}

// await repeats a check until it returns nil.
func await(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(stack.Scaled(90 * time.Second))
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %v", what, err)
			return
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(what, t.Context().Err())
		}
	}
}
