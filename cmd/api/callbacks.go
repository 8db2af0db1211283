package main

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
func (a *api) newSender(records *store.Store, metrics *telemetry.APIMetrics) (err error) {
	a.sender, err = callback.New(callback.Config{
		Settings: a.settings.Callback,
		Records:  records,
		Message: func(ctx context.Context, record jobs.Record) ([]byte, error) {
			return a.handler.CallbackMessage(ctx, record)
		},
		Agent:   "Cellblock/" + buildinfo.Version(),
		Observe: metrics.ObserveCallback,
		Logger:  a.logger,
	})
	if err != nil {
		return err
	}
	a.callbacks = queue.NewCallbackConsumer(a.client, queue.ConsumerSettings{
		Concurrency:     a.settings.Callback.Concurrency,
		ShutdownTimeout: a.settings.HTTP.ShutdownTimeout,
	}, a.sender.Send, a.logger)
	return nil
}

// sendCallbacks sends callbacks until ctx is done, and then waits for those in progress. Those that do not end by the
// timeout are left to another replica, or to the next start.
func (a *api) sendCallbacks(ctx context.Context) error {
	if a.callbacks == nil {
		return nil
	}
	if err := a.callbacks.Start(); err != nil {
		return fmt.Errorf("take callbacks: %w", err)
	}
	<-ctx.Done()
	if err := a.callbacks.Stop(); err != nil {
		a.logger.Warn("callbacks that are being sent are cut off", "error", err)
	}
	a.sender.Wait()
	return nil
}
