package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// openMember returns a job's member in the index of open jobs. It names the tenant, unless that is the operator: then
// the tenant of a job whose record is lost is known too.
func openMember(id string, tenant jobs.Tenant) string {
	if stored := encodeTenant(tenant); stored != "" {
		return id + " " + stored
	}
	return id
}

// parseMember returns the id and the tenant of a member.
func parseMember(member string) (id string, tenant jobs.Tenant) {
	id, stored, _ := strings.Cut(member, " ")
	return id, decodeTenant(stored)
}

// finalizeScript removes an ended job from the open jobs.
//
//	KEYS[1]  cellblock:{index}:open
//	KEYS[2]  cellblock:{index}:ended
//	ARGV[1]  its member in the first
//	returns  1
var finalizeScript = redis.NewScript(memberFunctions + finalizeFunction + `
finalize(KEYS[1], KEYS[2], ARGV[1])
return 1`)

// EndedJob is a job that has ended, or whose record has expired.
type EndedJob struct {
	ID string
	// Tenant is the owner; "" for the operator.
	Tenant jobs.Tenant
	// State is "" if there is no record.
	State          jobs.State
	IdempotencyKey string
	// TTL is the remaining lifetime of the job's record; 0 for a job that never ran, whose idempotency record is
	// deleted.
	TTL       time.Duration
	BatchItem jobs.BatchItem
	// Webhook reports that the job has a webhook.
	Webhook bool
}

// FinalizeJob completes the end of a job: it records the end in the job's batch, queues the webhook, sets the TTL of
// the idempotency record to that of the job, and removes the job from the open jobs. The last step comes last so that
// the reaper repeats all of them if one fails. It is for the process that has ended the job, and for the reaper.
func (s *Store) FinalizeJob(ctx context.Context, ended EndedJob) error {
	err := s.finalizeItem(ctx, ended.BatchItem, ended.State)
	if ended.Webhook {
		err = errors.Join(err, s.queueWebhook(ctx, ended.ID))
	}
	if ended.IdempotencyKey != "" && ended.TTL > 0 {
		err = errors.Join(err, s.client.PExpire(ctx, ended.IdempotencyKey, ended.TTL).Err())
	} else if ended.IdempotencyKey != "" {
		err = errors.Join(err, s.ReleaseKey(ctx, ended.IdempotencyKey, ended.ID))
	}
	if err == nil {
		err = finalizeScript.Run(ctx, s.client, []string{openKey, endedKey},
			openMember(ended.ID, ended.Tenant)).Err()
	}
	if err != nil {
		return fmt.Errorf("finalize job %s: %w", ended.ID, err)
	}
	return nil
}

// Load is the load of the queue.
type Load struct {
	// Open counts the jobs that have not ended.
	Open int
	// Ended counts the jobs that have ended since Redis was empty.
	Ended int64
	// UsedMemory and MaxMemory are Redis's, in bytes; a MaxMemory of 0 means no limit.
	UsedMemory, MaxMemory int64
}

// ReadLoad reads the load of the queue.
func (s *Store) ReadLoad(ctx context.Context) (Load, error) {
	pipeline := s.client.Pipeline()
	open := pipeline.ZCard(ctx, openKey)
	ended := pipeline.Get(ctx, endedKey)
	memory := pipeline.InfoMap(ctx, "memory")
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return Load{}, fmt.Errorf("read the queue's load: %w", err)
	}
	load := Load{Open: int(open.Val())}
	load.Ended, _ = ended.Int64() // none yet
	fields := memory.Val()["Memory"]
	load.UsedMemory, load.MaxMemory = parseInt(fields["used_memory"]), parseInt(fields["maxmemory"])
	return load, nil
}
