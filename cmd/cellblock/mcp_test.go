package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/client"
	"cellblock/internal/mcpapi"
)

// TestModelsSeeNoPasswordOfTheURL calls a service whose URL has a user and a password, and one that is down.
func TestModelsSeeNoPasswordOfTheURL(t *testing.T) {
	t.Parallel()
	const id = "01981f3e-7c1a-7000-8000-000000000001"
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"job_id":"`+id+`","status":"succeeded","created_at":"2026-01-02T03:04:05.000Z",`+
			`"started_at":null,"finished_at":null,"result":1,"stdout":"","stderr":"",`+
			`"files":[{"name":"a.csv","size":3,"media_type":"text/csv","url":"/jobs/`+id+`/files/a.csv"}]}`)
	}))
	t.Cleanup(service.Close)
	for serviceURL, want := range map[string]string{
		strings.Replace(service.URL, "//", "//the-user:the-password@", 1) + "/base/": service.URL + "/base/jobs/" + id +
			"/files/a.csv",
		"http://the-user:the-password@127.0.0.1:1": "did not answer",
	} {
		c, err := client.New(serviceURL, client.WithAttempts(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		server := mcpapi.NewServer(newMCPService(c, serviceURL), mcpapi.Settings{Logger: slog.New(slog.DiscardHandler)})
		ours, theirs := mcp.NewInMemoryTransports()
		if _, err := server.Connect(t.Context(), ours, nil); err != nil {
			t.Fatal(err)
		}
		session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(), theirs, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = session.Close() })
		answer, err := session.CallTool(t.Context(), &mcp.CallToolParams{
			Name: "get_job", Arguments: map[string]any{"job_id": id},
		})
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(encoded); !strings.Contains(text, want) || strings.Contains(text, "the-") {
			t.Errorf("%s", text)
		}
	}
}
