package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"cellblock/internal/listen"
)

// choosePorts checks that the addresses are free and different before anything starts, and picks the API's port if the
// settings have port 0. Another program may still take a port before ours listens on it; ours then fails.
func (c *upCommand) choosePorts(ctx context.Context) error {
	host, _, err := net.SplitHostPort(c.APIAddr)
	if err != nil {
		return listen.Explain("API_ADDR", c.APIAddr, err)
	}
	api, err := listen.TCP(ctx, "API_ADDR", c.APIAddr)
	if err != nil {
		return err
	}
	held := []net.Listener{api} // open until all are known, so that equal addresses conflict
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

// workerMetrics returns the metrics address of worker i, counted from 0; "" for none. It returns an invalid address
// unchanged, for the worker to refuse.
func (c *upCommand) workerMetrics(i int) string {
	host, port, err := net.SplitHostPort(c.MetricsAddr)
	number, numberErr := strconv.Atoi(port)
	if err != nil || numberErr != nil || number == 0 {
		return c.MetricsAddr
	}
	return net.JoinHostPort(host, strconv.Itoa(number+i))
}
