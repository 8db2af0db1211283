// Package listen opens the addresses on which the programs serve. Its errors name the setting and the remedy.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// TCP listens on address (host:port; port 0 picks a free port), the value of setting. The caller closes the listener.
// Errors are those of Explain.
func TCP(ctx context.Context, setting, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, Explain(setting, address, err)
	}
	return listener, nil
}

// URL returns the URL of the server on address (host:port) for a client on this machine. A server that listens on each
// of its addresses is reached on 127.0.0.1.
func URL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Explain returns the error for the user for err, a failure to listen on address: the reason, and how to set setting.
func Explain(setting, address string, err error) error {
	addrErr := new(net.AddrError)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%[1]s %[2]s is taken: another program, perhaps another Cellblock, listens there; end it, "+
			"or set %[1]s to another address", setting, address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%[1]s %[2]s needs rights that this user does not have; set %[1]s to a port above 1023",
			setting, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%[1]s %[2]s is no address of this machine; set %[1]s to one that is, such as 127.0.0.1:8080",
			setting, address)
	case errors.As(err, &addrErr):
		return fmt.Errorf("%[1]s %[2]s is no host:port (%[3]s); set %[1]s to one, such as 127.0.0.1:8080", setting,
			address, addrErr.Err)
	default:
		return fmt.Errorf("%[1]s %[2]s cannot be listened on: %[3]w; set %[1]s to another address",
			setting, address, err)
	}
}
