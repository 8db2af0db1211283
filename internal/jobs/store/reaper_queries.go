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

// leaseScript acquires or renews the reaper's lease.
//
//	KEYS[1]  cellblock:reaper
//	ARGV[1]  token
//	ARGV[2]  TTL in milliseconds
//	returns  1 if the token holds the lease, else 0
var leaseScript = redis.NewScript(`
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then
	return 0
end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return 1`)

// AcquireLease acquires or renews the reaper's lease and reports whether token holds it.
func (s *Store) AcquireLease(ctx context.Context, token string, ttl time.Duration) (bool, error) {
	held, err := leaseScript.Run(ctx, s.only(), []string{reaperKey}, token, ttl.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("acquire the reaper's lease: %w", err)
	}
	return held, nil
}

// ReleaseLease releases the lease if token holds it.
func (s *Store) ReleaseLease(ctx context.Context, token string) error {
	return deleteOwnScript.Run(ctx, s.only(), []string{reaperKey}, token).Err()
}

// OpenJob is an entry of the open jobs, as the reaper needs it. State is "" if the record is missing.
type OpenJob struct {
	ID string
	// Tenant is the owner, also of a job without a record.
	Tenant   jobs.Tenant
	State    jobs.State
	Priority jobs.Priority
	// Environment is "" for the default.
	Environment string
	// Owner is the worker that started the job, TakenBy the one that took it last.
	Owner, TakenBy string
	// Deadline is the wall deadline of a running job, StartBy the start deadline of a queued one; zero for none.
	Deadline, StartBy time.Time
	IdempotencyKey    string
	BatchItem         jobs.BatchItem
	// TTL is the remaining lifetime of an ended job's record.
	TTL time.Duration
	// Withdrawn reports that an ended job was withdrawn without having run.
	Withdrawn bool
	// Webhook reports that the job has a webhook.
	Webhook bool
	// Weight and MaxRunning are those of jobs.Job.
	Weight, MaxRunning int
}

// Route returns the route of the job.
func (o OpenJob) Route() jobs.Route {
	return jobs.Route{
		Priority: o.Priority, Environment: o.Environment, Tenant: o.Tenant, BatchID: o.BatchItem.BatchID,
		Weight: o.Weight, MaxRunning: o.MaxRunning,
	}
}

// Holder returns the worker that runs the job, or has taken it; "" for none.
func (o OpenJob) Holder() string {
	switch o.State {
	case jobs.StateRunning:
		return o.Owner
	case jobs.StateQueued:
		return o.TakenBy
	default:
		return ""
	}
}

// Late reports whether the start deadline of a queued job had passed at now, Redis's time.
func (o OpenJob) Late(now time.Time) bool { return !o.StartBy.IsZero() && now.After(o.StartBy) }

// DueJobs returns Redis's time and at most n open jobs whose check is due.
func (s *Store) DueJobs(ctx context.Context, n int) (time.Time, []OpenJob, error) {
	members, err := dueScript.Run(ctx, s.only(), []string{openKey}, n).StringSlice()
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("list the open jobs: %w", err)
	}
	now, members := parseTime(members[0]), members[1:]
	if len(members) == 0 {
		return now, nil, nil
	}
	pipeline := s.only().Pipeline()
	open := make([]OpenJob, len(members))
	fields := make([]*redis.SliceCmd, len(members))
	ttls := make([]*redis.DurationCmd, len(members))
	for i, member := range members {
		id, tenant := parseMember(member)
		open[i] = OpenJob{ID: id, Tenant: tenant}
		fields[i] = pipeline.HMGet(ctx, jobKey(id), "state", "priority", "owner", "taken_by", "deadline", "start_by",
			"idempotency", "withdrawn", "batch", "webhook", "environment", "weight", "max_running")
		ttls[i] = pipeline.PTTL(ctx, jobKey(id))
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return now, nil, fmt.Errorf("read %d open jobs: %w", len(members), err)
	}
	for i, job := range open {
		values := fields[i].Val()
		text := func(n int) string { s, _ := values[n].(string); return s }
		open[i] = OpenJob{
			ID: job.ID, Tenant: job.Tenant, State: jobs.State(text(0)), Priority: jobs.Priority(text(1)),
			Owner: text(2), TakenBy: text(3),
			Deadline: parseTime(text(4)), StartBy: parseTime(text(5)), IdempotencyKey: text(6),
			TTL: max(0, ttls[i].Val()), Withdrawn: text(7) == "1", BatchItem: decodeItem(text(8)),
			Webhook: text(9) != "", Environment: text(10),
			Weight: int(parseInt(text(11))), MaxRunning: int(parseInt(text(12))),
		}
	}
	return now, open, nil
}

// ScheduleChecks sets the time of the reaper's next check of each of the jobs that at has, by id.
func (s *Store) ScheduleChecks(ctx context.Context, open []OpenJob, at map[string]time.Time) error {
	if len(at) == 0 {
		return nil
	}
	members := make([]redis.Z, 0, len(at))
	for _, job := range open {
		if t, found := at[job.ID]; found {
			members = append(members, redis.Z{Score: float64(t.UnixMicro()), Member: openMember(job.ID, job.Tenant)})
		}
	}
	if err := s.only().ZAddArgs(ctx, openKey, redis.ZAddArgs{XX: true, Members: members}).Err(); err != nil {
		return fmt.Errorf("schedule the next checks: %w", err)
	}
	return nil
}

// aliveWorkersScript lists those of some workers that are alive. Its cost does not depend on how many others there are.
//
//	KEYS[1]  cellblock:workers
//	KEYS[2]  {cellblock:workers}:held
//	ARGV[…]  owners
//	returns  for each worker: owner, when its heartbeat expires, the ids of its jobs
var aliveWorkersScript = redis.NewScript(`
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expiries, held = redis.call("ZMSCORE", KEYS[1], unpack(ARGV)), redis.call("HMGET", KEYS[2], unpack(ARGV))
local answer = {}
for i, owner in ipairs(ARGV) do
	if expiries[i] and tonumber(expiries[i]) > now then
		for _, value in ipairs({owner, expiries[i], held[i] or ""}) do
			table.insert(answer, value)
		end
	end
end
return answer`)

// Worker is a live worker.
type Worker struct {
	// Beat is when its heartbeat expires. It grows with each heartbeat.
	Beat time.Time
	// InFlight are the ids of the jobs in its last heartbeat.
	InFlight map[string]bool
}

// AliveWorkers returns those of some workers that are alive, by owner. It costs nothing without owners.
func (s *Store) AliveWorkers(ctx context.Context, owners []string) (map[string]Worker, error) {
	if len(owners) == 0 {
		return nil, nil
	}
	args := make([]any, len(owners))
	for i, owner := range owners {
		args[i] = owner
	}
	reply, err := aliveWorkersScript.Run(ctx, s.parts.Home(), []string{workersKey, heldKey}, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	alive := make(map[string]Worker, len(reply)/3)
	for i := 0; i+2 < len(reply); i += 3 {
		held := map[string]bool{}
		for id := range strings.FieldsSeq(reply[i+2]) {
			held[id] = true
		}
		alive[reply[i]] = Worker{Beat: time.UnixMilli(parseInt(reply[i+1])), InFlight: held}
	}
	return alive, nil
}

// Sweep scans n entries of the index of a tenant's jobs after cursor ("" for the start), removes those whose records
// have expired, and returns how many these were, and the next cursor, "" at the end.
func (s *Store) Sweep(
	ctx context.Context, tenant jobs.Tenant, cursor string, n int,
) (removed int, next string, err error) {
	return s.sweepIndex(ctx, allKey(tenant), cursor, n, func(ids []string) ([]any, error) {
		return s.expired(ctx, tenant, ids)
	})
}

// sweepIndex scans n members of an index after cursor ("" for the start), removes those that gone returns, and returns
// how many these were, and the next cursor, "" at the end.
func (s *Store) sweepIndex(
	ctx context.Context, key, cursor string, n int, gone func(members []string) ([]any, error),
) (removed int, next string, err error) {
	low := "-"
	if cursor != "" {
		low = "(" + cursor
	}
	members, err := s.only().ZRangeByLex(ctx, key, &redis.ZRangeBy{Min: low, Max: "+", Count: int64(n)}).Result()
	var remove []any
	if err == nil && len(members) > 0 {
		remove, err = gone(members)
	}
	if err == nil && len(remove) > 0 {
		err = s.only().ZRem(ctx, key, remove...).Err()
	}
	if err != nil {
		return 0, cursor, fmt.Errorf("sweep %s: %w", key, err)
	}
	if len(members) < n {
		return len(remove), "", nil
	}
	return len(remove), members[len(members)-1], nil
}

// haveRecords reports of each job whether it has a record.
func (s *Store) haveRecords(ctx context.Context, ids []string) ([]bool, error) {
	pipeline := s.only().Pipeline()
	replies := make([]*redis.IntCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.Exists(ctx, jobKey(id))
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, err
	}
	there := make([]bool, len(ids))
	for i, reply := range replies {
		there[i] = reply.Val() > 0
	}
	return there, nil
}

// expired returns those of a tenant's jobs that have no record and are not open. The reaper ends an open job without a
// record.
func (s *Store) expired(ctx context.Context, tenant jobs.Tenant, ids []string) (gone []any, err error) {
	there, err := s.haveRecords(ctx, ids)
	if err != nil {
		return nil, err
	}
	open := s.only().Pipeline()
	checks := map[string]*redis.FloatCmd{}
	for i, id := range ids {
		if !there[i] {
			checks[id] = open.ZScore(ctx, openKey, openMember(id, tenant))
		}
	}
	if _, err := open.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	for id, check := range checks {
		if errors.Is(check.Err(), redis.Nil) {
			gone = append(gone, id)
		}
	}
	return gone, nil
}

// Indexed counts the jobs in the indexes of tenants.
func (s *Store) Indexed(ctx context.Context, tenants []jobs.Tenant) (n int, err error) {
	pipeline := s.only().Pipeline()
	counts := make([]*redis.IntCmd, len(tenants))
	for i, tenant := range tenants {
		counts[i] = pipeline.ZCard(ctx, allKey(tenant))
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return 0, fmt.Errorf("count the indexed jobs: %w", err)
	}
	for _, count := range counts {
		n += int(count.Val())
	}
	return n, nil
}
