package conformance

import (
	"bytes"
	"image/png"
	"net/http"
	"os"
	"testing"
)

// example reads a file of examples/, from which docs/api.md takes its jobs.
func example(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile("../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestChartExample runs docs/api.md's first job with data: a CSV in, a chart out.
func TestChartExample(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		a := form(t, k.standard.URL, []part{
			{"script", "chart.py", example(t, "chart.py")},
			{"files", "sales.csv", example(t, "sales.csv")},
		})
		checkEqual(t, "status", a.HTTPStatus, http.StatusOK)
		checkEqual(t, "result", string(a.Result), `{"name":null,"index":["north","south"],"data":[381.25,285.25]}`)
		checkEqual(t, "stderr", required(t, "stderr", a.Stderr), "")
		if len(a.Files) != 1 || a.Files[0].Name != "figure-1.png" {
			t.Fatalf("the files are %v\n%.1000s", a.Files, a.Body)
		}
		picture, err := png.Decode(bytes.NewReader([]byte(readFile(t, k.standard.URL, a.Files[0]).Body)))
		if err != nil {
			t.Fatal(err)
		}
		checkEqual(t, "width", picture.Bounds().Dx(), 640)
		checkEqual(t, "height", picture.Bounds().Dy(), 480)
		colours := map[any]int{}
		for x := range picture.Bounds().Dx() {
			for y := range picture.Bounds().Dy() {
				colours[picture.At(x, y)]++
			}
		}
		// Bars in two colours, each a good part of the picture.
		large := 0
		for _, n := range colours {
			if n > 10_000 {
				large++
			}
		}
		checkEqual(t, "colours that cover much (white and two of bars)", large, 3)
	})
}

// TestQueryExample runs the second one: arguments for a script that reads a file.
func TestQueryExample(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		a := executeWith(t, k.standard.URL, example(t, "query.py"), map[string]any{
			"args":  map[string]any{"region": "south", "least": 90},
			"files": []map[string]string{{"path": "data/sales.csv", "content": example(t, "sales.csv")}},
		})
		checkEqual(t, "result", string(a.Result), `{"months":["2026-02","2026-03"],"mean":102.625}`)
	})
}
