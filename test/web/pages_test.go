package web

import (
	"testing"
)

// TestPagesOpen opens both pages as a first-time user finds them.
func TestPagesOpen(t *testing.T) {
	t.Parallel()
	for _, look := range []view{lightView, darkView, phoneView} {
		for path, heading := range map[string]string{"/": "Playground", "/console": "Overview"} {
			p := visit(t, open.URL, path, look)
			p.awaitText("h1", heading)
			p.checkAccessibility()
		}
	}
}
