package api

import (
	"context"

	apitypes "cellblock/api"
	"cellblock/internal/jobs"
	"cellblock/internal/jobs/dispatch"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/live"
	"cellblock/internal/mcpapi"
)

// newMCP creates the MCP server. It decodes and encodes jobs as the API's handler does, which is created after it.
func (s *service) newMCP(dispatcher *dispatch.Dispatcher, hub *live.Hub, stored *files.Store) *mcpapi.Handler {
	local := mcpapi.NewLocal(mcpapi.LocalConfig{
		Jobs: dispatcher, Live: hub, Files: stored,
		Decode: func(ctx context.Context, body []byte) (jobs.Request, error) {
			return s.handler.DecodeRequest(ctx, body)
		},
		Encode: func(ctx context.Context, record jobs.Record) apitypes.Job {
			return s.handler.EncodeJob(ctx, record)
		},
		Retention: s.settings.Store.ResultTTL,
		Logger:    s.logger,
	})
	return mcpapi.NewHandler(local, mcpapi.Settings{Wait: s.settings.Dispatch.SyncWait, Logger: s.logger})
}
