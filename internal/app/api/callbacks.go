package api

import (
	"context"
	"fmt"

	"cellblock/internal/buildinfo"
	"cellblock/internal/jobs"
	"cellblock/internal/jobs/callback"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/telemetry"
)

// newSender creates the sender of callbacks and its queue's consumer. The API sends them because the workers have no
// network.
func (s *service) newSender(records *store.Store, metrics *telemetry.APIMetrics) (err error) {
	s.sender, err = callback.New(callback.Config{
		Settings: s.settings.Callback,
		Records:  records,
		Message: func(ctx context.Context, record jobs.Record) ([]byte, error) {
			return s.handler.CallbackMessage(ctx, record)
		},
		Agent:   "Cellblock/" + buildinfo.Version(),
		Observe: metrics.ObserveCallback,
		Logger:  s.logger,
	})
	if err != nil {
		return err
	}
	s.callbacks = queue.NewCallbackConsumer(s.client, queue.ConsumerSettings{
		Concurrency:     s.settings.Callback.Concurrency,
		ShutdownTimeout: s.settings.HTTP.ShutdownTimeout,
	}, s.sender.Send, s.logger)
	return nil
}

// sendCallbacks sends callbacks until ctx is done, and then waits for those in progress. Those that do not end by the
// timeout are left to another replica, or to the next start.
func (s *service) sendCallbacks(ctx context.Context) error {
	if s.callbacks == nil {
		return nil
	}
	if err := s.callbacks.Start(); err != nil {
		return fmt.Errorf("take callbacks: %w", err)
	}
	<-ctx.Done()
	if err := s.callbacks.Stop(); err != nil {
		s.logger.Warn("abandoning callbacks in progress", "error", err)
	}
	s.sender.Wait()
	return nil
}
