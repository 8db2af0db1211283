package jobs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeLabels(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	prefix := strings.Repeat(strings.Repeat("a", 49)+".", 5) + "abc" // 253 bytes
	for body, want := range map[string]map[string]string{
		`{}`:                                 nil,
		`{"customer":"42"}`:                  {"customer": "42"},
		`{"A_.-z":"","0":"a_.-Z"}`:           {"A_.-z": "", "0": "a_.-Z"},
		`{"example.com/tier":"0"}`:           {"example.com/tier": "0"},
		`{"` + long + `":"` + long + `"}`:    {long: long},
		`{"` + prefix + `/` + long + `":""}`: {prefix + "/" + long: ""},
		`{"\u0061":"\u0062"}`:                {"a": "b"},
	} {
		request, err := DecodeRequest([]byte(`{"script":"x","labels":` + body + `}`))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, request.Labels); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

// A message names the key and the rule.
func TestDecodeLabelsRefuses(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 17 {
		many = append(many, fmt.Sprintf(`"k%d":""`, i))
	}
	long := strings.Repeat("a", 64)
	const name, value = ` must have a name of 1 to 63 letters`, ` must be empty, or have at most 63 letters`
	for body, want := range map[string]string{
		`[]`:                                `"labels" must be an object, not an array`,
		`null`:                              `"labels" must be an object, not null`,
		`{"a":1}`:                           `"labels.a" must be a string, not a number`,
		`{"a":null}`:                        `"labels.a" must be a string, not null`,
		`{"a":"","a":"b"}`:                  `"a" in "labels" is given twice`,
		`{` + strings.Join(many, ",") + `}`: `"labels" has more than 16 labels`,
		`{"":"x"}`:                          `"labels": the key ""` + name,
		`{"a b":"x"}`:                       `"labels": the key "a b"` + name,
		`{"a:b":"x"}`:                       `"labels": the key "a:b"` + name,
		`{"é":"x"}`:                         `"labels": the key "é"` + name,
		`{"_a":"x"}`:                        `"labels": the key "_a"` + name,
		`{"a\n":"x"}`:                       `"labels": the key "a\n"` + name,
		`{"` + long + `":"x"}`:              name,
		`{"/a":"x"}`:                        `the key "/a" must have a DNS subdomain before the slash`,
		`{"A/a":"x"}`:                       `the key "A/a" must have a DNS subdomain before the slash`,
		`{"a..b/a":"x"}`:                    `must have a DNS subdomain before the slash`,
		`{"a/":"x"}`:                        `"labels": the key "a/"` + name,
		`{"a/b/c":"x"}`:                     `"labels": the key "a/b/c"` + name,
		`{"a":"-"}`:                         `"labels": the value of "a"` + value,
		`{"a":"x y"}`:                       `"labels": the value of "a"` + value,
		`{"a":"x\n"}`:                       `"labels": the value of "a"` + value,
		`{"a":"` + long + `"}`:              `"labels": the value of "a"` + value,
		`{"a":"\ud800"}`:                    `"labels.a" contains a lone surrogate`,
	} {
		_, err := DecodeRequest([]byte(`{"script":"x","labels":` + body + `}`))
		if CodeOf(err) != CodeInvalidRequest || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
}

func TestParseLabel(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"customer:42": {"customer", "42"}, "example.com/a:b": {"example.com/a", "b"}, "a:": {"a", ""},
	} {
		if key, value, err := ParseLabel(text); err != nil || [2]string{key, value} != want {
			t.Errorf("%q: got %q %q, %v", text, key, value, err)
		}
	}
	for _, text := range []string{"", "customer", "customer=42", ":42", "a:b:c", "a b:c", "a:b c"} {
		_, _, err := ParseLabel(text)
		if CodeOf(err) != CodeInvalidRequest || !strings.Contains(err.Error(), `"label"`) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// TestFingerprintWithoutLabels: keys that earlier versions bound match, so the hash of a request without labels stays.
func TestFingerprintWithoutLabels(t *testing.T) {
	t.Parallel()
	const earlier = "0975fb03dd68be7a1b1632831580082c1f5f1d93c0d25b38185c0e7c2cc348a8"
	if got := fingerprintOf(t, `{"script":"x","labels":{}}`); got != earlier {
		t.Errorf("got %s", got)
	}
}
