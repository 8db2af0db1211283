package jobs

import (
	"strings"
	"testing"
)

func TestNamesOfEnvironments(t *testing.T) {
	t.Parallel()
	for name, valid := range map[string]bool{
		`"default"`: true, `"data-science"`: true, `"3d"`: true, `"` + strings.Repeat("a", 63) + `"`: true,
		`""`: false, `"-a"`: false, `"A"`: false, `"a_b"`: false, `"a/b"`: false, `"a b"`: false, `"a:b"`: false,
		`"` + strings.Repeat("a", 64) + `"`: false, `null`: false, `1`: false, `"ä"`: false, `"a\n"`: false,
	} {
		request, err := DecodeRequest([]byte(`{"script":"x","environment":` + name + `}`))
		if (err == nil) != valid || err != nil && CodeOf(err) != CodeInvalidRequest {
			t.Errorf("%s: %+v, %v", name, request, err)
		}
	}
	form, err := DecodeForm([]FormPart{
		{Name: "script", Content: []byte("x")}, {Name: "environment", Content: []byte("science")},
	})
	if err != nil || form.Environment != "science" {
		t.Errorf("%+v, %v", form, err)
	}
	other := Request{Script: "x"}
	if Fingerprint(&form) == Fingerprint(&other) {
		t.Error("requests with and without an environment have the same fingerprint")
	}
}
