package api

import (
	"context"
	"fmt"
	"time"

	"cellblock/internal/buildinfo"
	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/jobs/webhook"
	"cellblock/internal/membudget"
)

const (
	// webhookBudget bounds, in bytes, the large records held for webhooks being sent. It is not that of the readers,
	// who would wait for slow receivers.
	webhookBudget = 32 << 20
	// webhookBudgetTimeout is how long an attempt waits for it before it is postponed.
	webhookBudgetTimeout = 5 * time.Second
)

// newSender creates the sender of webhooks and its queue's consumer. The API sends them because the workers have no
// network.
func (s *service) newSender(records *store.Store) (err error) {
	budget := membudget.New(webhookBudget, webhookBudgetTimeout)
	s.watchBudget("webhooks", budget)
	config := webhook.Config{
		Settings: s.settings.Webhook,
		Records:  records.WithBudget(budget),
		Message: func(ctx context.Context, record jobs.Record) ([]byte, error) {
			return s.handler.WebhookMessage(ctx, record)
		},
		Agent:   "Cellblock/" + buildinfo.Version(),
		Observe: s.metrics.ObserveWebhook,
		Logger:  s.logger,
	}
	if s.traces != nil { // not a typed nil
		config.Traces = s.traces
	}
	s.sender, err = webhook.New(config)
	if err != nil {
		return err
	}
	s.webhooks = queue.NewWebhookConsumer(s.client, queue.ConsumerSettings{
		Concurrency:     s.settings.Webhook.Concurrency,
		ShutdownTimeout: s.settings.HTTP.ShutdownTimeout,
	}, s.sender.Send, s.logger)
	return nil
}

// sendWebhooks sends webhooks until ctx is done, and then waits for those in progress. Those that do not end by the
// timeout are left to another replica, or to the next start.
func (s *service) sendWebhooks(ctx context.Context) error {
	if s.webhooks == nil {
		return nil
	}
	if err := s.webhooks.Start(); err != nil {
		return fmt.Errorf("take webhooks: %w", err)
	}
	<-ctx.Done()
	if err := s.webhooks.Stop(); err != nil {
		s.logger.Warn("abandoning webhooks in progress", "error", err)
	}
	s.sender.Wait()
	return nil
}
