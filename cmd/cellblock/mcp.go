package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/client"
	"cellblock/internal/mcpapi"
)

// mcpWait is how long run_python waits for its job. Desktop clients abandon calls after a minute.
const mcpWait = 20 * time.Second

// mcpCommand is `cellblock mcp`.
type mcpCommand struct {
	Service serviceFlags `embed:""`
}

// Help is the text of `cellblock mcp --help`.
func (*mcpCommand) Help() string {
	return `Agents start it themselves: it speaks the Model Context Protocol on standard input and output, and runs
scripts by the service. docs/mcp.md has the configuration of agents. The service has the same server at /mcp.

    cellblock mcp --url https://cellblock.example.org`
}

// Run serves until standard input ends or the program is interrupted.
func (c *mcpCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
		server := mcpapi.NewServer(newMCPService(service, c.Service.URL),
			mcpapi.Settings{Wait: mcpWait, Logger: logger})
		err := server.Run(ctx, &mcp.StdioTransport{})
		if ctx.Err() != nil {
			return &exit{status: interruptStatus(ctx)}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	})
}
