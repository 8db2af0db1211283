package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"cellblock/client"
	"cellblock/internal/tenantkeys"
)

// keyCommands are the subcommands of `cellblock key`.
type keyCommands struct {
	Create keyCreateCommand `cmd:"" help:"Create a key for a tenant and print it, for the only time."`
	List   keyListCommand   `cmd:"" help:"List keys."`
	Revoke keyRevokeCommand `cmd:"" help:"Revoke keys: every server refuses them within a second."`
	Rotate keyRotateCommand `cmd:"" help:"Replace a key by a new one, and print that; the old one can be used for a while yet."`
	Hash   keyHashCommand   `cmd:"" help:"Print the SHA-256 of a key on standard input, for API_KEYS_FILE."`
}

// Help is the text of `cellblock key --help`.
func (keyCommands) Help() string {
	return `Jobs, batches and files belong to the tenant whose key the request had, and no other tenant sees them. These
commands need the operator's token in CELLBLOCK_TOKEN or API_TOKEN, or a key with the scope admin.

    KEY=$(cellblock key create --tenant acme --scope run,read --expires 90d)
    cellblock key list --tenant acme
    NEW=$(cellblock key rotate k_7mzq3xw2pa --grace 24h)
    cellblock key revoke k_7mzq3xw2pa
    cellblock key revoke --tenant acme`
}

// tenantLimitFlags are the flags for limits of a tenant.
type tenantLimitFlags struct {
	Weight      int      `placeholder:"N" help:"Share of the workers while other tenants wait too, 1 to 100 (1)."`
	Rate        float64  `name:"requests-per-second" placeholder:"N" help:"Requests in a second; =-1 for no bound."`
	Burst       int      `placeholder:"N" help:"Requests that may come at once."`
	Open        int      `name:"open-jobs" placeholder:"N" help:"Jobs that are queued or running; =-1 for no bound."`
	Running     int      `name:"running-jobs" placeholder:"N" help:"Jobs that run at once; =-1 for no bound."`
	Largest     []string `sep:"none" placeholder:"NAME=VALUE" help:"Largest limit of a job: wall=5s, cpu=500ms, memory=64 (MiB), processes=4, output=65536 (bytes)."`
	CPUPerDay   string   `name:"cpu-per-day" placeholder:"TIME" help:"Processor time of the jobs that end in a day (UTC), such as 2h; =-1 for no bound."`
	Environment []string `placeholder:"NAME" help:"Environments that jobs may have, by comma; without this flag, all."`
}

func (f *tenantLimitFlags) limits() (l client.TenantLimits, err error) {
	l = client.TenantLimits{
		Weight: f.Weight, RequestsPerSecond: f.Rate, Burst: f.Burst, OpenJobs: f.Open, RunningJobs: f.Running,
		Environments: f.Environment,
	}
	switch f.CPUPerDay {
	case "":
	case "-1":
		l.CPUPerDay = client.NoBound
	default:
		if l.CPUPerDay, err = duration(f.CPUPerDay); err != nil {
			return l, usagef("--cpu-per-day %s: %w", f.CPUPerDay, err)
		}
	}
	l.Largest, err = limits("--largest", f.Largest)
	return l, err
}

// keyCreateCommand is `cellblock key create`.
type keyCreateCommand struct {
	Service          serviceFlags `embed:""`
	Tenant           string       `required:"" placeholder:"NAME" help:"Tenant whose jobs the key is for: lower case letters, digits and hyphens. 'operator' is your own."`
	Scope            []string     `required:"" placeholder:"SCOPE" help:"What the key is for, by comma: run, read, cancel; for the tenant operator also metrics and admin."`
	Expires          string       `placeholder:"TIME" help:"Time for which the key can be used, such as 90d or 12h; without this flag, it does not expire."`
	Name             string       `placeholder:"TEXT" help:"A note for the list of keys."`
	tenantLimitFlags `embed:"" group:"Limits, instead of the service's for tenants"`
	JSON             bool `name:"json" help:"Print the key and its properties, as JSON."`
}

// Help is the text of `cellblock key create --help`.
func (*keyCreateCommand) Help() string {
	return `Standard output has the key alone; the rest goes to standard error. The service keeps only its SHA-256, so
the key cannot be read again: a lost one is replaced (key rotate).

    KEY=$(cellblock key create --tenant acme --scope run,read,cancel --expires 90d)
    CELLBLOCK_TOKEN=$KEY cellblock run job.py
    cellblock key create --tenant trial --scope run --open-jobs 10 --largest wall=2s --largest memory=128
    cellblock key create --tenant operator --scope metrics --name prometheus`
}

// Run creates the key.
func (c *keyCreateCommand) Run() error {
	request := client.KeyRequest{Tenant: c.Tenant, Scopes: c.Scope, Name: c.Name}
	var err error
	if request.Limits, err = c.limits(); err != nil {
		return err
	}
	if c.Expires != "" {
		request.ExpiresIn, err = days(c.Expires)
		if err == nil && request.ExpiresIn == 0 {
			err = fmt.Errorf("it must be above 0")
		}
		if err != nil {
			return usagef("--expires %s: %w", c.Expires, err)
		}
	}
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		key, err := service.CreateKey(ctx, request)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		return printNewKey(key, c.JSON)
	})
}

// printNewKey prints a key to standard output, and what it is for to standard error.
func printNewKey(key *client.NewKey, asJSON bool) error {
	if asJSON {
		return printJSON(key)
	}
	end := "does not expire"
	if key.ExpiresAt != nil {
		end = "expires " + local(*key.ExpiresAt)
	}
	fmt.Fprintf(os.Stderr, "created the key %s of the tenant %s: %s; it %s and is not shown again\n",
		key.KeyID, key.Tenant, strings.Join(key.Scopes, ", "), end)
	fmt.Fprintln(standardOutput, key.Key)
	return nil
}

// days parses 90d, and what time.ParseDuration does: 12h, 0.
func days(text string) (time.Duration, error) {
	const day, longest = 24 * time.Hour, 100 * 365
	d, err := time.ParseDuration(text)
	if number, ok := strings.CutSuffix(text, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(number, 64)
		if !(n <= longest) {
			n = -1
		}
		d = time.Duration(n * float64(day))
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("it must be a time such as 90d or 12h")
	}
	return d, nil
}

// keyListCommand is `cellblock key list`.
type keyListCommand struct {
	Service serviceFlags `embed:""`
	Tenant  string       `placeholder:"NAME" help:"List only the keys of this tenant."`
	JSON    bool         `name:"json" help:"Print one line of JSON per key."`
}

// Help is the text of `cellblock key list --help`.
func (*keyListCommand) Help() string {
	return `Keys that have expired or were revoked stay in the list for 30 days. Keys of API_KEYS_FILE are not in it.
Times are in this machine's time zone.

    cellblock key list --json | jq -r 'select(.status == "active") | .key_id'`
}

// Run lists the keys.
func (c *keyListCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		keys, err := service.Keys(ctx, c.Tenant)
		if err != nil {
			return withStatusOrInterrupted(ctx, err)
		}
		if c.JSON {
			for _, key := range keys {
				if err := printJSON(key); err != nil {
					return err
				}
			}
			return nil
		}
		table := tabwriter.NewWriter(standardOutput, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns
		fmt.Fprintln(table, "KEY\tTENANT\tSTATUS\tSCOPES\tCREATED\tEXPIRES\tNAME")
		for _, key := range keys {
			expires := "-"
			if key.ExpiresAt != nil {
				expires = local(*key.ExpiresAt)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key.KeyID, key.Tenant, key.Status,
				strings.Join(key.Scopes, ","), local(key.CreatedAt), expires, key.Name)
		}
		return table.Flush()
	})
}

// keyRevokeCommand is `cellblock key revoke`.
type keyRevokeCommand struct {
	Service serviceFlags `embed:""`
	IDs     []string     `arg:"" optional:"" name:"id" help:"The keys' ids: those of key list, not the keys themselves."`
	Tenant  string       `placeholder:"NAME" help:"Revoke all keys of this tenant, instead of ids."`
}

// Validate is called by kong.
func (c *keyRevokeCommand) Validate() error {
	if (len(c.IDs) == 0) == (c.Tenant == "") {
		return errors.New("give either the ids of keys (key list) or --tenant, which revokes all keys of a tenant")
	}
	for _, id := range c.IDs {
		if err := checkKeyID(id); err != nil {
			return err
		}
	}
	return nil
}

// activeKeys returns the ids of a tenant's keys that can be used.
func activeKeys(ctx context.Context, service *client.Client, tenant string) (ids []string, err error) {
	keys, err := service.Keys(ctx, tenant)
	for _, key := range keys {
		if key.Status == "active" {
			ids = append(ids, key.KeyID)
		}
	}
	if err == nil && len(ids) == 0 {
		err = usagef("the tenant %s has no active key", tenant)
	}
	return ids, err
}

// Run revokes each key, up to the first that cannot be revoked.
func (c *keyRevokeCommand) Run() error {
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		ids := c.IDs
		if c.Tenant != "" {
			var err error
			if ids, err = activeKeys(ctx, service, c.Tenant); err != nil {
				return withStatusOrInterrupted(ctx, err)
			}
		}
		for _, id := range ids {
			key, err := service.RevokeKey(ctx, id)
			if err != nil {
				return withStatusOrInterrupted(ctx, fmt.Errorf("%s: %w", id, err))
			}
			fmt.Fprintln(standardOutput, key.KeyID, "revoked")
		}
		return nil
	})
}

// checkKeyID returns an error for a key in place of an id: it would be in the URL, which proxies log.
func checkKeyID(id string) error {
	if strings.HasPrefix(id, tenantkeys.Prefix) {
		return errors.New("this command takes the id of a key (key list), such as k_7mzq3xw2pa, and not a key itself")
	}
	return nil
}

// keyRotateCommand is `cellblock key rotate`.
type keyRotateCommand struct {
	Service serviceFlags `embed:""`
	ID      string       `arg:"" help:"The id of the key to replace."`
	Grace   string       `default:"24h" placeholder:"TIME" help:"Time for which the old key can be used yet, such as 12h or 7d; 0 revokes it at once (24h)."`
	JSON    bool         `name:"json" help:"Print the key and its properties, as JSON."`
}

// Help is the text of `cellblock key rotate --help`.
func (*keyRotateCommand) Help() string {
	return `The new key has the tenant, scopes, name, limits and lifetime of the old one. Standard output has the key
alone.

    NEW=$(cellblock key rotate k_7mzq3xw2pa --grace 7d)`
}

// Validate is called by kong.
func (c *keyRotateCommand) Validate() error { return checkKeyID(c.ID) }

// Run replaces the key.
func (c *keyRotateCommand) Run() error {
	grace, err := days(c.Grace)
	if err != nil {
		return usagef("--grace %s: %w", c.Grace, err)
	}
	return c.Service.use(func(ctx context.Context, service *client.Client) error {
		key, err := service.RotateKey(ctx, c.ID, grace)
		if err != nil {
			return withStatusOrInterrupted(ctx, fmt.Errorf("%s: %w", c.ID, err))
		}
		return printNewKey(key, c.JSON)
	})
}

// keyHashCommand is `cellblock key hash`.
type keyHashCommand struct {
	New bool `help:"Make a new key, print it, and print its SHA-256 to standard error."`
}

// Help is the text of `cellblock key hash --help`.
func (*keyHashCommand) Help() string {
	return `API_KEYS_FILE has the SHA-256 of keys instead of the keys. This command needs no service.

    KEY=$(cellblock key hash --new)
    cellblock key hash <<< "$KEY"`
}

// Run prints the hash.
func (c *keyHashCommand) Run() error {
	if c.New {
		key := tenantkeys.NewKey()
		fmt.Fprintln(os.Stderr, "sha256:", tenantkeys.Hash(key))
		fmt.Fprintln(standardOutput, key)
		return nil
	}
	if isTerminal(os.Stdin) {
		note("paste the key, then press Return and Ctrl-D")
	}
	text, err := readText("-")
	if err != nil {
		return err
	}
	key := strings.TrimSpace(text)
	if !tenantkeys.IsKey(key) {
		return usagef("standard input has no key: one is %s and 43 letters, digits, - and _", tenantkeys.Prefix)
	}
	fmt.Fprintln(standardOutput, tenantkeys.Hash(key))
	return nil
}
