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
//	ARGV[1]  its member there
//	returns  1
var finalizeScript = redis.NewScript(memberFunctions + finalizeFunction + `
finalize(KEYS[1], ARGV[1])
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
		err = errors.Join(err, s.of(ended.IdempotencyKey).PExpire(ctx, ended.IdempotencyKey, ended.TTL).Err())
	} else if ended.IdempotencyKey != "" {
		err = errors.Join(err, s.ReleaseKey(ctx, ended.IdempotencyKey, ended.ID))
	}
	if err == nil {
		err = finalizeScript.Run(ctx, s.of(ended.ID), []string{openKey}, openMember(ended.ID, ended.Tenant)).Err()
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
	// Ended counts the jobs that have ended since Redis was empty, up to the last CountUsage.
	Ended int64
	// UsedMemory and MaxMemory are Redis's, in bytes; a MaxMemory of 0 means no limit. In a cluster they are those of
	// the fullest primary.
	UsedMemory, MaxMemory int64
}

// ReadLoad reads the load of the queue.
func (s *Store) ReadLoad(ctx context.Context) (Load, error) {
	n := s.parts.Len()
	all, opens := pipelines{}, make([]int, n)
	open, ended, memory := make([]*redis.IntCmd, n), make([]*redis.StringCmd, n), make([]*redis.InfoCmd, n)
	for i, part := range s.parts.All() {
		open[i], ended[i] = all.of(part).ZCard(ctx, openKey), all.of(part).Get(ctx, endedKey)
		memory[i] = all.of(part).InfoMap(ctx, "memory")
	}
	if err := all.exec(ctx); err != nil {
		return Load{}, fmt.Errorf("read the queue's load: %w", err)
	}
	var load Load
	for i := range n {
		opens[i] = int(open[i].Val())
		load.Open += opens[i]
		count, _ := ended[i].Int64() // none yet
		load.Ended += count
		fields := memory[i].Val()["Memory"]
		load.fill(parseInt(fields["used_memory"]), parseInt(fields["maxmemory"]))
	}
	s.open.set(opens)
	return load, nil
}

// fill notes the memory of a server, if none before is as full.
func (l *Load) fill(used, most int64) {
	if l.UsedMemory == 0 || float64(used)*float64(l.MaxMemory) > float64(l.UsedMemory)*float64(most) {
		l.UsedMemory, l.MaxMemory = used, most
	}
}
