package jobs

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNamesAreMadeSafe(t *testing.T) {
	var names Names
	for _, c := range []struct{ raw, want string }{
		{"chart.png", "chart.png"},
		{"a/b é.csv", "a/b é.csv"},
		{"chart.png", "chart.png~2"},
		{"CHART.png", "CHART.png~3"},
		{"", "_"},
		{"../../etc/passwd", "_../_../etc/passwd"},
		{"/etc/passwd", "_/etc/passwd"},
		{"a//b/./c", "a/_/b/_./c"},
		{"a\x00b\nc\x7f", "a_b_c_"},
		{"\xff\xfe.txt", "_.txt"},
		{`..\a`, ".._a"},
		{"100%.csv", "100_.csv"},
		{"nul.txt", "_nul.txt"},
		{"exe\u202egpj", "exe_gpj"},
		{"...", "_..."},
	} {
		if got := names.Safe(c.raw); got != c.want {
			t.Errorf("%q became %q, want %q", c.raw, got, c.want)
		}
	}
}

// FuzzNames: whatever the name, it is safe and new.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"a", "../a", "/", "a\x00", strings.Repeat("é/", 200), "con", "~2", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var names Names
		seen := map[string]bool{}
		for range 3 {
			name := names.Safe(raw)
			if err := CheckPath(name); err != nil || strings.Contains(name, "%") || !utf8.ValidString(name) {
				t.Fatalf("%q became %q: %v", raw, name, err)
			}
			if seen[name] {
				t.Fatalf("%q was given twice for %q", name, raw)
			}
			seen[name] = true
		}
	})
}
