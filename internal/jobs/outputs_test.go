package jobs

import (
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestNamesAreSanitized(t *testing.T) {
	t.Parallel()
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
		if got := names.Sanitize(c.raw); got != c.want {
			t.Errorf("%q became %q, want %q", c.raw, got, c.want)
		}
	}
}

// FuzzNames: Sanitize returns a valid and new name for every input.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"a", "../a", "/", "a\x00", strings.Repeat("é/", 200), "con", "~2", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var names Names
		seen := map[string]bool{}
		for range 3 {
			name := names.Sanitize(raw)
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

// TestManyLongNames: a script may send a name that takes long to sanitize, many times. That takes about as long as
// different names; sanitizing it again for each taken name would take 32 times as long.
func TestManyLongNames(t *testing.T) {
	t.Parallel()
	raw := strings.Repeat("é/con", 1<<13)
	take := func(prefix func(i int) string) time.Duration {
		var names Names
		began := time.Now()
		for i := range 64 {
			names.Sanitize(prefix(i) + raw)
		}
		return time.Since(began)
	}
	var same, different time.Duration
	for range 5 { // other load of the machine may disturb one of them
		same, different = take(func(int) string { return "" }), take(strconv.Itoa)
		if same < 10*different {
			return
		}
	}
	t.Errorf("64 times the same name took %v, and different ones %v", same, different)
}
