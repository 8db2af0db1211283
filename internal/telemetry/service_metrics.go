package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cellblock/internal/jobs"
)

// Service reads what is known of the whole service from Redis.
type Service interface {
	ServiceStatus(ctx context.Context) (jobs.ServiceStatus, error)
}

const (
	// statusTimeout bounds the wait for Redis in a scrape. It is below Prometheus's scrape timeout of 10 s.
	statusTimeout = 8 * time.Second
	// statusAge is for how long what was read serves other scrapes, so that many of them cost Redis no more than one.
	statusAge = time.Second
)

func serviceDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	redisUpDesc = serviceDesc("cellblock_redis_up",
		"1, or 0 while Redis cannot be read. The other metrics of the whole service are missing then.")
	usedMemoryDesc = serviceDesc("cellblock_redis_memory_used_bytes", "Memory that Redis uses.")
	maxMemoryDesc  = serviceDesc("cellblock_redis_memory_max_bytes",
		"Memory that Redis may use (maxmemory); 0 for no bound.")
	queueDepthDesc = serviceDesc("cellblock_queue_depth", "Jobs that wait for a worker.", environmentLabel)
	queueHeldDesc  = serviceDesc("cellblock_queue_held",
		"Jobs that wait since their tenant has as many running as it may.", environmentLabel)
	oldestDesc = serviceDesc("cellblock_queue_oldest_seconds",
		"Age of the oldest job that waits for a worker; 0 without one.", environmentLabel)
	webhookDepthDesc       = serviceDesc("cellblock_webhook_queue_depth", "Webhooks that are not over.")
	workersDesc            = serviceDesc("cellblock_workers", "Live workers that take jobs.")
	environmentWorkersDesc = serviceDesc("cellblock_environment_workers",
		"Live workers that take jobs and have an environment.", environmentLabel)
	fleetSlotsDesc = serviceDesc("cellblock_fleet_slots", "Jobs that the live workers can run at once.")
	fleetBusyDesc  = serviceDesc("cellblock_fleet_slots_busy", "Jobs that the live workers have.")
)

// environmentLabel is the label with the name of an environment.
const environmentLabel = "environment"

// serviceReader reads the Service at a scrape, unless another scrape did lately. While that fails, it leaves out all
// but cellblock_redis_up, and the scrape still returns the other metrics.
type serviceReader struct {
	service Service
	logger  *slog.Logger

	// reading is held during a read, for which all scrapes wait.
	reading sync.Mutex
	readAt  time.Time
	status  jobs.ServiceStatus
	err     error
}

// Describe implements prometheus.Collector.
func (r *serviceReader) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		redisUpDesc, usedMemoryDesc, maxMemoryDesc, queueDepthDesc, queueHeldDesc, oldestDesc, webhookDepthDesc,
		workersDesc, environmentWorkersDesc, fleetSlotsDesc, fleetBusyDesc,
	} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (r *serviceReader) Collect(metrics chan<- prometheus.Metric) {
	set := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	status, err := r.read()
	set(redisUpDesc, boolValue(err == nil))
	if err != nil {
		return
	}
	set(usedMemoryDesc, float64(status.UsedMemory))
	set(maxMemoryDesc, float64(status.MaxMemory))
	set(webhookDepthDesc, float64(status.Webhooks))
	set(workersDesc, float64(status.Workers))
	set(fleetSlotsDesc, float64(status.Slots))
	set(fleetBusyDesc, float64(status.Busy))
	for name, queue := range status.Queues {
		set(queueDepthDesc, float64(queue.Waiting), name)
		set(queueHeldDesc, float64(queue.Held), name)
		set(oldestDesc, queue.Oldest.Seconds(), name)
		set(environmentWorkersDesc, float64(queue.Workers), name)
	}
}

// read returns the status, which is at most statusAge old.
func (r *serviceReader) read() (jobs.ServiceStatus, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if !r.readAt.IsZero() && time.Since(r.readAt) < statusAge {
		return r.status, r.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
	defer cancel()
	r.status, r.err = r.service.ServiceStatus(ctx)
	r.readAt = time.Now()
	if r.err != nil {
		r.logger.Warn("cannot read metrics from Redis", "error", r.err)
	}
	return r.status, r.err
}
