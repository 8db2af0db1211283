package webhook

import (
	"net/netip"
	"net/url"
	"syscall"

	"code.dny.dev/ssrf"

	"cellblock/internal/jobs"
)

// metadata are addresses of cloud metadata services in public address space; the others are link-local, shared or
// unique-local.
var metadata = []netip.Prefix{netip.MustParsePrefix("168.63.129.16/32")} // Azure

// guard decides which addresses the sender may connect to: public ones, by IANA's registries, and those that the
// settings allow.
type guard struct{ guardian *ssrf.Guardian }

func newGuard(allow []netip.Prefix) guard {
	var v4, v6 []netip.Prefix
	for _, prefix := range allow {
		if prefix = prefix.Masked(); prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	return guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...),
		ssrf.WithDeniedV4Prefixes(metadata...))}
}

// control is called by net.Dialer with the resolved address, before it connects.
func (g guard) control(network, address string, conn syscall.RawConn) error {
	return g.guardian.Safe(network, address, conn)
}

// check refuses a URL whose host is a forbidden address. Names are left to control.
func (g guard) check(webhookURL string) error {
	u, err := url.Parse(webhookURL)
	if err != nil {
		return jobs.Errorf(jobs.CodeInvalidRequest, `"callback_url" is not a URL`)
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil //nolint:nilerr // a name, then
	}
	// Go connects to the IPv4 address inside a mapped address.
	if g.guardian.SafeAddr(addr.Unmap()) != nil || addr.Is4In6() {
		return jobs.Errorf(jobs.CodeInvalidRequest,
			`"callback_url" has an address that webhooks must not go to: only public ones, and those of CALLBACK_ALLOW`)
	}
	return nil
}
