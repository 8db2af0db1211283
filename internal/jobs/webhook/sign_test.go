package webhook

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Test vectors of the Standard Webhooks libraries.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func secretOf(n int) string {
	return secretPrefix + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xfe", n)))
}

func TestSignature(t *testing.T) {
	t.Parallel()
	s, err := newSigner(vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	if err := s.sign(header, vectorID, time.Unix(1614265330, 999), []byte(vectorBody)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"webhook-id": vectorID, "webhook-timestamp": "1614265330",
		"webhook-signature": vectorSignature,
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// During a change of secrets, receivers with the old one and with the new one can both verify.
func TestEverySecretSigns(t *testing.T) {
	t.Parallel()
	secrets := []string{secretOf(24), vectorSecret, secretOf(64)}
	s, err := newSigner(" " + strings.Join(secrets, "  ") + "\n")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	if err := s.sign(header, "msg_1", time.Now(), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		hook, err := webhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify([]byte("{}"), header); err != nil {
			t.Error(err)
		}
		if err := hook.Verify([]byte("{ }"), header); err == nil {
			t.Error("another body has the same signature")
		}
	}
	other, err := webhooks.NewWebhook(secretOf(32))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Verify([]byte("{}"), header); err == nil {
		t.Error("a secret that did not sign verifies")
	}
}

func TestInvalidSecrets(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{
		"", " ", "whsec_", "secret", secretOf(23), secretOf(65), strings.TrimPrefix(secretOf(32), secretPrefix),
		vectorSecret + "!", vectorSecret + " x", strings.Repeat("x", 1000),
		"whpk_" + strings.TrimPrefix(vectorSecret, secretPrefix),
	} {
		if _, err := newSigner(secret); err == nil || secret != "" && secret != " " &&
			strings.Contains(err.Error(), strings.TrimSpace(secret)) && secret != secretPrefix {
			t.Errorf("%.40q: got %v", secret, err)
		}
	}
}

// defaults are the defaults of the flags.
func defaults() Settings {
	return Settings{
		Secret: vectorSecret, Attempts: 7, Pause: 5 * time.Second,
		Timeout: 10 * time.Second, Concurrency: 8,
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(*Settings)
		ttl    time.Duration
		want   string
	}{
		{"defaults", func(*Settings) {}, time.Hour, ""},
		{"off, whatever else", func(s *Settings) { *s = Settings{} }, time.Second, ""},
		{"secret", func(s *Settings) { s.Secret = "hunter2" }, time.Hour, "CALLBACK_SECRET"},
		{"attempts", func(s *Settings) { s.Attempts = 0 }, time.Hour, "CALLBACK_ATTEMPTS"},
		{"many attempts", func(s *Settings) { s.Attempts = 21 }, time.Hour, "CALLBACK_ATTEMPTS"},
		{"timeout", func(s *Settings) { s.Timeout = 2 * time.Minute }, time.Hour, "CALLBACK_TIMEOUT"},
		{"concurrency", func(s *Settings) { s.Concurrency = 0 }, time.Hour, "CALLBACK_CONCURRENCY"},
		{"pause", func(s *Settings) { s.Pause = 0 }, time.Hour, "CALLBACK_PAUSE"},
		{"longer than the record", func(*Settings) {}, 45 * time.Minute, "RESULT_TTL"},
		{"far longer", func(s *Settings) { s.Attempts, s.Pause = 20, 24*time.Hour }, time.Hour, "RESULT_TTL"},
		{
			"so long that it overflows", func(s *Settings) { s.Attempts, s.Pause = 2, 1_000_000*time.Hour },
			time.Hour, "RESULT_TTL",
		},
		{"one attempt", func(s *Settings) { s.Attempts = 1 }, 10 * time.Second, ""},
	}
	for _, c := range cases {
		s := defaults()
		c.change(&s)
		err := s.Validate(c.ttl)
		if c.want == "" && err != nil || c.want != "" &&
			(err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// By default, all attempts together take about forty minutes.
func TestPauses(t *testing.T) {
	t.Parallel()
	s := &Sender{Config: Config{Settings: defaults()}}
	least, most := time.Duration(0), time.Duration(0)
	for attempt := 1; attempt < s.Settings.Attempts; attempt++ {
		base := s.Settings.basePause(attempt)
		least, most = least+base, most+base*3/2
	}
	if least < 30*time.Minute || most > 46*time.Minute {
		t.Errorf("%s to %s", least, most)
	}
}

// TestAddresses checks which addresses the guard allows.
func TestAddresses(t *testing.T) {
	t.Parallel()
	g := newGuard([]netip.Prefix{
		netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("10.1.2.3/16"),
		netip.MustParsePrefix("fd00:1::/64"),
	})
	cases := map[string]bool{
		"8.8.8.8": true, "93.184.215.14": true, "2001:4860:4860::8888": true, "2a00:1450::1": true,
		"127.0.0.1": false, "127.1.2.3": false, "::1": false, // loopback
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, // private
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, // link-local, metadata
		"168.63.129.16": false, "100.100.100.200": false, "fd00:ec2::254": false, "192.0.0.192": false, // metadata
		"100.64.0.1": false, "100.127.255.255": false, // carriers
		"0.0.0.0": false, "0.1.2.3": false, "::": false, // unspecified, this network
		// multicast, reserved
		"224.0.0.1": false, "239.1.1.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false,
		// documentation
		"192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "2001:db8::1": false, "3fff::1": false,
		"198.18.0.1": false, "198.19.255.255": false, "2001:2::1": false, // benchmarking
		"192.88.99.1": false, "2002:7f00:1::": false, "2002:0808:0808::": false, // 6to4
		"64:ff9b::7f00:1": false, "64:ff9b::808:808": false, "64:ff9b:1::1": false, // NAT64
		"::ffff:127.0.0.1": false, "::ffff:8.8.8.8": false, "::127.0.0.1": false, // mapped, compatible
		// Teredo, ORCHID, discard, unique-local, site-local
		"2001::1": false, "2001:20::1": false, "100::1": false, "fc00::1": false, "fdff::1": false, "fec0::1": false,
		// by the settings
		"127.0.0.2": true, "127.0.0.3": false, "10.1.255.255": true, "10.2.0.0": false, "fd00:1::5": true,
		"fd00:2::5":        false,
		"::ffff:127.0.0.2": false,
	}
	for address, want := range cases {
		host := address
		network := "tcp4"
		if strings.Contains(address, ":") {
			host, network = "["+address+"]", "tcp6"
		}
		if got := g.control(network, host+":443", nil) == nil; got != want {
			t.Errorf("%s may be connected to: %t, want %t", address, got, want)
		}
		url := "https://" + strings.ReplaceAll(host, "%", "%25") + "/"
		if got := g.check(url) == nil; got != want {
			t.Errorf("%s is accepted: %t, want %t", url, got, want)
		}
	}
	for _, network := range []string{"udp4", "unix"} {
		if g.control(network, "8.8.8.8:443", nil) == nil {
			t.Errorf("%s may be used", network)
		}
	}
	if err := g.check("https://localhost/"); err != nil {
		t.Error("a name is refused before it is looked up")
	}
}
