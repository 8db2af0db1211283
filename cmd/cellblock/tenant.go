package main

import (
	"context"
	"fmt"

	"cellblock/client"
)

// tenantCommands are `cellblock tenant` and its subcommands.
type tenantCommands struct {
	Secret tenantSecretCommand `cmd:"" help:"Print the signing secret of a tenant's webhooks."`
}

// tenantSecretCommand is `cellblock tenant secret`.
type tenantSecretCommand struct {
	Service    serviceFlags `embed:""`
	Tenant     string       `arg:"" help:"Name of the tenant."`
	Generation int          `placeholder:"N" help:"Generation of the secret; without it, the current one."`
}

// Help is the text of 'cellblock tenant secret --help'.
func (*tenantSecretCommand) Help() string {
	return `Receivers of the tenant verify webhooks with it. To replace it, pass the secret of the next generation to
the tenant and set CALLBACK_GENERATIONS of the API; the secret before signs too.

    cellblock tenant secret acme
    cellblock tenant secret acme --generation 2`
}

// Run prints the secret. While the service's secret is being replaced, it prints one line for each.
func (c *tenantSecretCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		secret, err := service.WebhookSecret(ctx, c.Tenant, c.Generation)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		for _, each := range secret.Secrets {
			fmt.Fprintln(standardOutput, each)
		}
		return nil
	})
}
