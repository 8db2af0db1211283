package listen

import (
	"net"
	"strings"
	"testing"
)

func TestTCPListens(t *testing.T) {
	t.Parallel()
	listener, err := TCP(t.Context(), "API_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if port := listener.Addr().(*net.TCPAddr).Port; port == 0 {
		t.Error("no port was chosen")
	}
}

func TestErrorsNameTheSettingAndTheNextStep(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct{ address, want string }{
		{taken.Addr().String(), " is taken: another program, perhaps another Cellblock, listens there; end it, " +
			"or set X_ADDR to another address"},
		{"192.0.2.1:0", " is no address of this machine; set X_ADDR to one that is, such as 127.0.0.1:8080"},
		{"8080", " is no host:port (missing port in address); set X_ADDR to one, such as 127.0.0.1:8080"},
		{"127.0.0.1:99999", " is no host:port (invalid port); set X_ADDR to one, such as 127.0.0.1:8080"},
	} {
		_, err := TCP(t.Context(), "X_ADDR", c.address)
		if err == nil || err.Error() != "X_ADDR "+c.address+c.want {
			t.Errorf("%s: %v", c.address, err)
		}
	}
	// The message of the system's resolver varies.
	if _, err := TCP(t.Context(), "X_ADDR", "no.such.name.invalid:0"); err == nil ||
		!strings.HasSuffix(err.Error(), "; set X_ADDR to another address") {
		t.Errorf("unknown name: %v", err)
	}
}

func TestURLIsReachedFromThisMachine(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		":80":            "http://127.0.0.1:80",
		"0.0.0.0:80":     "http://127.0.0.1:80",
		"[::]:80":        "http://127.0.0.1:80",
		"[::1]:80":       "http://[::1]:80",
		"box:80":         "http://box:80",
		"8080":           "http://8080",
	} {
		if got := URL(address); got != want {
			t.Errorf("URL of %q is %q, want %q", address, got, want)
		}
	}
}
