package webhook

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// codeOf returns the first code block in a language of docs/webhooks.md.
func codeOf(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```"+language+"\n")
	code, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatalf("there is no %s", language)
	}
	return code
}

// signed returns the headers of a signed message, as a receiver gets them.
func signed(t *testing.T, body string) http.Header {
	t.Helper()
	s, err := newSigner(secretOf(40) + " " + vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	if err := s.sign(header, "msg_1", time.Now(), []byte(body)); err != nil {
		t.Fatal(err)
	}
	return header
}

const message = `{"type":"job.ended","data":{"result":"é"}}`

// TestPythonOfTheDocs verifies with the library that the docs recommend.
func TestPythonOfTheDocs(t *testing.T) {
	t.Parallel()
	header := signed(t, message)
	code := codeOf(t, "python") + fmt.Sprintf(`
from standardwebhooks import WebhookVerificationError

headers = {"Webhook-Id": %q, "Webhook-Timestamp": %q, "Webhook-Signature": %q}
assert receive(%q.encode(), headers)["data"]["result"] == "é"
try:
    receive(%q.encode(), headers)
except WebhookVerificationError:
    print("good")
`, header.Get("webhook-id"), header.Get("webhook-timestamp"), header.Get("webhook-signature"), message, message+" ")
	command := exec.CommandContext(t.Context(), receiverPython(t), "-c", code)
	command.Env = []string{"CALLBACK_SECRET=" + vectorSecret, "PYTHONUTF8=1"}
	out, err := command.CombinedOutput()
	if err != nil || string(out) != "good\n" {
		t.Errorf("%v: %s\n%s", err, out, code)
	}
}

func receiverPython(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the Python of scripts/setup --test")
	}
	python, err := filepath.Abs("../../../.cache/receiver/bin/python")
	if err == nil {
		_, err = os.Stat(python)
	}
	if err != nil {
		t.Fatalf("%v; scripts/setup --test makes it", err)
	}
	return python
}

// TestGoOfTheDocs builds the code as a package of this module, which has the library, without adding a file to it.
func TestGoOfTheDocs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles a program")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	header := signed(t, message)
	test := fmt.Sprintf(`package receiver

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReceive(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{%q: http.StatusNoContent, %q: http.StatusBadRequest} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Header = http.Header{"Webhook-Id": {%q}, "Webhook-Timestamp": {%q}, "Webhook-Signature": {%q}}
		w := httptest.NewRecorder()
		if Receive(w, r); w.Code != want {
			t.Errorf("%%s: %%d, want %%d", body, w.Code, want)
		}
	}
}
`, message, message+" ", header.Get("webhook-id"), header.Get("webhook-timestamp"), header.Get("webhook-signature"))
	dir := t.TempDir()
	var overlay bytes.Buffer
	for name, content := range map[string]string{"receiver.go": codeOf(t, "go"), "receiver_test.go": test} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&overlay, `,%q:%q`, filepath.Join(root, "docs", "receiver", name), filepath.Join(dir, name))
	}
	replacements := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(replacements, []byte(`{"Replace":{`+overlay.String()[1:]+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "receiver.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-o", program, "-overlay", replacements,
		"cellblock/docs/receiver")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := exec.CommandContext(t.Context(), program, "-test.v")
	run.Dir, run.Env = dir, []string{"CALLBACK_SECRET=" + vectorSecret}
	if out, err := run.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestReceive") {
		t.Errorf("%v: %s", err, out)
	}
}
