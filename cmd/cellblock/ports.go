package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"cellblock/internal/listen"
)

// choosePorts makes sure before anything starts that the addresses are free, and
// apart from each other, and chooses the API's port where the settings leave that to
// us. The answer may be old at once; the program that serves there finds out then.
func (c *upCommand) choosePorts(ctx context.Context) error {
	host, _, err := net.SplitHostPort(c.APIAddr)
	if err != nil {
		return listen.Explain("API_ADDR", c.APIAddr, err)
	}
	api, err := listen.TCP(ctx, "API_ADDR", c.APIAddr)
	if err != nil {
		return err
	}
	held := []net.Listener{api} // until the last is known, so that two that are the same show
	defer func() {
		for _, listener := range held {
			listener.Close()
		}
	}()
	_, port, err := net.SplitHostPort(api.Addr().String())
	if err != nil {
		return err
	}
	c.APIAddr = net.JoinHostPort(host, port)
	for i := range c.Workers {
		address := c.workerMetrics(i)
		if address == "" {
			continue
		}
		metrics, err := listen.TCP(ctx, "METRICS_ADDR", address)
		if err != nil {
			return fmt.Errorf("the metrics of %s: %w", c.workerName(i), err)
		}
		held = append(held, metrics)
	}
	return nil
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
