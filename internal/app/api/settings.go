package api

import (
	"errors"

	"cellblock/internal/audit"
	"cellblock/internal/httpapi"
	"cellblock/internal/jobs"
	"cellblock/internal/jobs/dispatch"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/store"
	"cellblock/internal/jobs/storedfiles"
	"cellblock/internal/jobs/webhook"
	"cellblock/internal/redisconn"
	"cellblock/internal/telemetry"
)

// Settings are the API's settings, each a flag and an environment variable.
type Settings struct {
	HTTP        httpapi.Settings         `embed:"" group:"HTTP"`
	MetricsAddr string                   `name:"metrics-addr" env:"API_METRICS_ADDR" group:"HTTP" help:"Address (host:port) that serves /metrics, /healthz and, to this machine only, /debug/pprof/, without a token; port 0 picks a free one. Empty (the default) is off; /metrics is then at API_ADDR only."`
	Metrics     telemetry.TenantSettings `embed:"" group:"HTTP"`
	Redis       redisconn.Settings       `embed:"" group:"Redis"`
	Store       store.Settings           `embed:"" group:"Jobs"`
	Files       files.Settings           `embed:"" group:"Jobs"`
	StoredFiles storedfiles.Settings     `embed:"" group:"Jobs"`
	Dispatch    dispatch.Settings        `embed:"" group:"Jobs"`
	MaxLimits   jobs.MaxLimits           `embed:"" group:"Limits"`
	Tenants     jobs.TenantSettings      `embed:"" group:"Tenants"`
	Webhook     webhook.Settings         `embed:"" group:"Webhooks"`
	Log         telemetry.Settings       `embed:"" group:"Log"`
	Audit       audit.Settings           `embed:"" group:"Log"`
}

// Validate returns an error for settings that contradict each other.
func (s *Settings) Validate() error {
	return errors.Join(
		s.HTTP.Validate(), s.Store.Validate(), s.StoredFiles.Validate(), s.Dispatch.Validate(),
		s.MaxLimits.Limits().Validate(), s.Tenants.Validate(), s.Metrics.Validate(),
		s.Webhook.Validate(s.Store.ResultTTL),
	)
}
