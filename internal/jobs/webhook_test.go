package jobs

import (
	"strings"
	"testing"
)

func TestWebhookURLs(t *testing.T) {
	t.Parallel()
	long := "https://a.example/" + strings.Repeat("x", MaxWebhookURLBytes-len("https://a.example/"))
	cases := []struct{ url, want string }{
		{"https://a.example", ""},
		{"http://a.example:8080/x/y?token=secret&b=%20", ""},
		{"HTTPS://A.example/", ""},
		{"http://[2001:4860::1]:1/", ""},
		{"https://é.example/é", ""},
		{long, ""},
		{long + "x", "has 2049 bytes, at most 2048 are allowed"},
		{"", "must begin with http:// or https://"},
		{"a.example/x", "must begin with http:// or https://"},
		{"//a.example/x", "must begin with http:// or https://"},
		{"ftp://a.example/", "must begin with http:// or https://"},
		{"file:///etc/passwd", "must begin with http:// or https://"},
		{"unix:///run/redis.sock", "must begin with http:// or https://"},
		{"https:a.example", "has no host"},
		{"https:///x", "has no host"},
		{"https://:80/x", "has no host"},
		{"https://user@a.example/", "must not have a user or a password in it"},
		{"https://user:secret@a.example/", "must not have a user or a password in it"},
		{"https://@a.example/", "must not have a user or a password in it"},
		{"https://a.example/#x", "must not have a fragment (#)"},
		{"https://a.example/#", "must not have a fragment (#)"},
		{"https://a.example:65536/", "has an invalid port"},
		{"https://a.example:0/", "has an invalid port"},
		{"https://a.example:x/", "is not a URL"},
		{"https://[::1/", "is not a URL"},
		{"https://a.example/\x00", "has a space or a control character in it"},
		{"https://a.example/\r\nx: y", "has a space or a control character in it"},
		{"https://a.example/ x", "has a space or a control character in it"},
		{"https://a.example/\u0085", "has a space or a control character in it"},
		{"\thttps://a.example/", "has a space or a control character in it"},
	}
	for _, c := range cases {
		if got := webhookURLProblem(c.url); got != c.want {
			t.Errorf("%.60q: got %q, want %q", c.url, got, c.want)
		}
	}
}

func TestWebhookURLInRequests(t *testing.T) {
	t.Parallel()
	const url = "https://a.example/x?y=z"
	request, err := DecodeRequest([]byte(`{"script":"","callback_url":"` + url + `"}`))
	if err != nil || request.WebhookURL != url || request.Inputs != nil {
		t.Errorf("got %+v, %v", request, err)
	}
	request, err = DecodeForm([]FormPart{{Name: "script"}, {Name: "callback_url", Content: []byte(url)}})
	if err != nil || request.WebhookURL != url {
		t.Errorf("got %+v, %v", request, err)
	}
	for _, value := range []string{`1`, `null`, `"\ud800"`, `"x://user:secret@a"`} {
		_, err := DecodeRequest([]byte(`{"script":"","callback_url":` + value + `}`))
		if err == nil || CodeOf(err) != CodeInvalidRequest ||
			!strings.HasPrefix(AsError(err).Message, `"callback_url" `) ||
			strings.Contains(AsError(err).Message, "secret") {
			t.Errorf("%s: got %v", value, err)
		}
	}
}

func TestTheQueryIsNotShown(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://a/b?c=d": "https://a/b", "https://a/b": "https://a/b",
		"https://a?": "https://a",
	} {
		if got := (Webhook{URL: url}).ShownURL(); got != want {
			t.Errorf("%s is shown as %s", url, got)
		}
	}
}
