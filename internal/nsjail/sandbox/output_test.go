package sandbox

import (
	"os"
	"strings"
	"testing"
)

func TestCollect(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		written, want string
		limit         int64
		truncated     bool
	}{
		"nothing":                   {"", "", 8, false},
		"exactly the limit":         {"12345678", "12345678", 8, false},
		"one more":                  {"123456789", "12345678", 8, true},
		"cut inside two bytes":      {"1234567é", "1234567", 8, true},
		"cut inside three bytes":    {"123456€", "123456", 8, true},
		"cut inside four bytes":     {"12345😀", "12345", 8, true},
		"cut behind a character":    {"1234😀5", "1234😀", 8, true},
		"not UTF-8":                 {"a\xffb", "a�b", 8, false},
		"half a character at end":   {"ab\xe2\x82", "ab�", 8, false},
		"only continuation bytes":   {"\x80\x80\x80\x80\x80\x80\x80\x80\x80", "��������", 8, true},
		"bad bytes before the cut":  {"1234567\xffxx", "1234567�", 8, true},
		"a surrogate's three bytes": {"\xed\xa0\x80", "���", 8, false},
		"one for each, as Python":   {"\xff\xfe\xe4\xb8c\xc0", "���c�", 8, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, in := openOutput(t, test.limit)
			write(t, in, test.written)
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			text, truncated := o.readAll()
			if text != test.want || truncated != test.truncated {
				t.Errorf("got %q, %v; want %q, %v", text, truncated, test.want, test.truncated)
			}
		})
		t.Run(name+", and its writer goes on", func(t *testing.T) {
			o, in := openOutput(t, test.limit)
			write(t, in, test.written)
			text, truncated := o.readAvailable()
			if text != test.want || truncated != test.truncated {
				t.Errorf("got %q, %v; want %q, %v", text, truncated, test.want, test.truncated)
			}
			write(t, in, "too late")
		})
	}
}

// readAvailable returns everything written before, including what the reader has not read yet.
func TestReadAvailableIsComplete(t *testing.T) {
	t.Parallel()
	for range 200 {
		o, in := openOutput(t, 1<<20)
		written := strings.Repeat("x", 40_000)
		write(t, in, written)
		if text, _ := o.readAvailable(); text != written {
			t.Fatalf("%d bytes of %d", len(text), len(written))
		}
		o.Stop()
	}
}

func openOutput(t *testing.T, limit int64) (*Output, *os.File) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := Collect(out, limit, nil)
	t.Cleanup(func() {
		_ = in.Close()
		o.Stop()
	})
	return o, in
}

func write(t *testing.T, to *os.File, text string) {
	t.Helper()
	if _, err := to.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
