package hostcheck

import (
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	named := New([]string{"api", "Cellblock.Example.org."}, "machine:8080")
	for host, want := range map[string]struct{ none, named, all bool }{
		"localhost":                      {true, true, true},
		"LocalHost.:8080":                {true, true, true},
		"cellblock.localhost:8080":       {true, true, true},
		"127.0.0.1:8080":                 {true, true, true},
		"192.0.2.1":                      {true, true, true},
		"[2001:db8::1]:8080":             {true, true, true},
		"[::1]":                          {true, true, true},
		"":                               {true, true, true},
		"api:8080":                       {false, true, true},
		"machine:8080":                   {false, true, true},
		"cellblock.example.org":          {false, true, true},
		"cellblock.example.org.:443":     {false, true, true},
		"www.cellblock.example.org":      {false, false, true},
		"rebound.example:8080":           {false, false, true},
		"notlocalhost":                   {false, false, true},
		"localhost.rebound.example":      {false, false, true},
		"127.0.0.1.rebound.example:8080": {false, false, true},
		"0x7f.1":                         {false, false, true},
		"api:8080:8080":                  {false, false, true},
		"*":                              {false, false, true},
	} {
		if got := (Hosts{}).Has(host); got != want.none {
			t.Errorf("%q without names: %t", host, got)
		}
		if got := named.Has(host); got != want.named {
			t.Errorf("%q with names: %t", host, got)
		}
		if got := New([]string{"*"}, ":8080").Has(host); got != want.all {
			t.Errorf("%q with all: %t", host, got)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "127.1.2.3": true, "[::1]:80": true, "::1": true, "[::ffff:127.0.0.1]:80": true,
		"localhost:80": true, "a.localhost": true,
		"0.0.0.0:80": false, "[::]:80": false, ":80": false, "": false, "192.0.2.1:80": false, "api:80": false,
	} {
		if got := IsLoopback(address); got != want {
			t.Errorf("%q: %t", address, got)
		}
	}
}

func TestNamesAreChecked(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]string{
		"": "", "*": "", "api": "", "my_api,cellblock.example.org,192.0.2.1": "",
		"*,api": "includes", "*.example.org": "no host name", "api:8080": "no host name", "http://api": "no host name",
		"api/": "no host name", "api,": "no host name",
	} {
		var allowed []string
		if names != "" {
			allowed = strings.Split(names, ",")
		}
		err := Validate(allowed)
		if (err == nil) != (want == "") ||
			err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "ALLOWED_HOSTS")) {
			t.Errorf("%q: %v", names, err)
		}
	}
}

func TestRefusalHasTheNextStep(t *testing.T) {
	t.Parallel()
	const want = `the host name "rebound.example" of this request is not in ALLOWED_HOSTS: add it there, or use an ` +
		`IP address or localhost`
	if got := Refusal("Rebound.example:8080"); got != want {
		t.Error(got)
	}
}
