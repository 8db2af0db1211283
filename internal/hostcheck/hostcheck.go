// Package hostcheck decides under which host names a server answers. A web page can bind its own name to the address of
// a server on the user's machine or network (DNS rebinding). The browser then takes the server for a part of the page's
// site, but sends the page's name in the header Host.
package hostcheck

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// anyHost allows all host names.
const anyHost = "*"

// namePattern matches host names, of DNS and of containers, without a port.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// Validate returns an error for entries of ALLOWED_HOSTS that are no host name, and for * beside others.
func Validate(allowed []string) error {
	for _, name := range allowed {
		switch {
		case name == anyHost && len(allowed) > 1:
			return errors.New("ALLOWED_HOSTS has * beside other names, which it includes: leave one of them out")
		case name != anyHost && !namePattern.MatchString(name):
			return fmt.Errorf("ALLOWED_HOSTS has %q, which is no host name: one is such as api or "+
				"cellblock.example.org, without a scheme, a port or a path", name)
		}
	}
	return nil
}

// Hosts are the host names under which a server answers: IP addresses, localhost and the names below it, and its own.
// An address is safe, since a page whose address is the server's was loaded from the server. The zero value has no
// names of its own.
type Hosts struct{ names []string }

// New returns the names of allowed, the value of ALLOWED_HOSTS, and the host of address (host:port), on which the
// server listens by its setting.
func New(allowed []string, address string) Hosts {
	names := []string{hostname(address)}
	for _, name := range allowed {
		if name != anyHost {
			name = hostname(name)
		}
		names = append(names, name)
	}
	return Hosts{names}
}

// Has reports whether the server answers a request with this header Host, with or without a port. It answers a request
// without one, which no browser sends.
func (h Hosts) Has(host string) bool {
	name := hostname(host)
	if _, err := netip.ParseAddr(name); err == nil || name == "" || isLocalhost(name) {
		return true
	}
	return slices.Contains(h.names, name) || slices.Contains(h.names, anyHost)
}

// Refusal returns the sentence for a client whose request has a header Host that the server does not answer.
func Refusal(host string) string {
	return fmt.Sprintf("the host name %.64q of this request is not in ALLOWED_HOSTS: add it there, or use an IP "+
		"address or localhost", hostname(host))
}

// IsLoopback reports whether address, with or without a port, is this machine: a loopback address, localhost, or a name
// below it.
func IsLoopback(address string) bool {
	name := hostname(address)
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback() || isLocalhost(name)
}

// isLocalhost reports whether a name is localhost or below it. No such name can be registered (RFC 6761).
func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// hostname returns address in lower case, without its port, brackets and the final dot of a name.
func hostname(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
