package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// choosePorts makes sure before anything starts that the addresses are free,
// and chooses ports where the settings leave that to us.
func (c *upCommand) choosePorts(ctx context.Context) error {
	address, err := free(ctx, c.APIAddr)
	if err != nil {
		return fmt.Errorf("the API cannot serve on %s: %w; API_ADDR chooses another address", c.APIAddr, err)
	}
	c.APIAddr = address
	for i := range c.Workers {
		address := c.workerMetrics(i)
		if _, err := free(ctx, address); address != "" && err != nil {
			return fmt.Errorf("worker metrics cannot be served on %s: %w; METRICS_ADDR chooses another address", address, err)
		}
	}
	return nil
}

// free gives the address with its port as a number, if it can be listened on.
// The answer may be old at once; the program that serves there finds out then.
func free(ctx context.Context, address string) (string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "", errors.New("the address is taken; perhaps another Cellblock runs")
	case errors.Is(err, syscall.EACCES):
		return "", errors.New("this user may not take that port")
	case err != nil:
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return net.JoinHostPort(host, port), err
}

// workerMetrics is the address for the metrics of worker i, counted from 0;
// empty for none. What is no host:port is left for the worker to refuse.
func (c *upCommand) workerMetrics(i int) string {
	host, port, err := net.SplitHostPort(c.MetricsAddr)
	number, numberErr := strconv.Atoi(port)
	if err != nil || numberErr != nil || number == 0 {
		return c.MetricsAddr
	}
	return net.JoinHostPort(host, strconv.Itoa(number+i))
}

// baseURL is where a client on this machine reaches the API.
func (c *upCommand) baseURL() string {
	host, port, err := net.SplitHostPort(c.APIAddr)
	if err != nil {
		return "http://" + c.APIAddr
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
