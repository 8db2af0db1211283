package worker

import (
	"errors"

	"cellblock/internal/hostcheck"
	"cellblock/internal/jobs/files"
	"cellblock/internal/nsjail"
	"cellblock/internal/redisconn"
	"cellblock/internal/telemetry"
	"cellblock/internal/worker"
)

// Settings are the worker's settings, each a flag and an environment variable.
type Settings struct {
	Redis   redisconn.Settings `embed:""`
	Files   files.Settings     `embed:""`
	Worker  worker.Settings    `embed:""`
	Sandbox nsjail.Settings    `embed:""`
	Log     telemetry.Settings `embed:""`

	MetricsAddr string `name:"metrics-addr" env:"METRICS_ADDR" default:"127.0.0.1:9091" help:"Address (host:port) that serves /metrics, /healthz and, to this machine only, /debug/pprof/, without a token; port 0 picks a free one, empty is off."`

	AllowedHosts []string `name:"allowed-hosts" env:"ALLOWED_HOSTS" placeholder:"HOST" help:"Host names (comma-separated) by which clients reach METRICS_ADDR; IP addresses and localhost need no entry, and * allows all. Requests by other names are refused, so that no web page reads metrics by binding its own name to this machine (DNS rebinding). Empty (the default) allows no name if the address is loopback, and else all."`
}

// Validate returns an error for settings that contradict each other.
func (s *Settings) Validate() error {
	return errors.Join(s.Sandbox.Validate(), s.Worker.Validate(s.Sandbox.Wall),
		hostcheck.Validate(s.AllowedHosts))
}

// Compile-time check: every slot can have a ready sandbox.
const _ = uint(nsjail.MaxReady - worker.MaxConcurrency)
