package reaper

// Action is something that a reaper repairs.
type Action string

// The actions; docs/metrics.md describes them.
const (
	ActionWorkerLost      Action = "worker_lost"
	ActionNotStarted      Action = "not_started"
	ActionRequeued        Action = "requeued"
	ActionFinalized       Action = "finalized"
	ActionRecordLost      Action = "record_lost"
	ActionWebhookRequeued Action = "webhook_requeued"
	ActionFlowReopened    Action = "flow_reopened"
	ActionSlotReleased    Action = "slot_released"
)

// Actions returns all actions.
func Actions() []Action {
	return []Action{
		ActionWorkerLost, ActionNotStarted, ActionRequeued, ActionFinalized, ActionRecordLost, ActionWebhookRequeued,
		ActionFlowReopened, ActionSlotReleased,
	}
}

// Metrics counts what a reaper does.
type Metrics interface {
	// ObserveAction counts n times an action.
	ObserveAction(action Action, n int)
	// SetWorking records whether this reaper has the lease.
	SetWorking(working bool)
}

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) ObserveAction(Action, int) {}

func (noMetrics) SetWorking(bool) {}

// did counts n times an action that has succeeded.
func (r *Reaper) did(action Action, n int, err error) {
	if err == nil && n > 0 {
		r.metrics.ObserveAction(action, n)
	}
}
