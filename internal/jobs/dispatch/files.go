package dispatch

import (
	"context"
	"slices"

	"cellblock/internal/jobs"
)

// Files reads the files that requests refer to, each once.
type Files interface {
	// Resolve returns copies of the inputs with the contents of the files, and the error of each input with a file that
	// cannot be read, such as CodeFileNotFound. The caller calls release when it no longer holds the contents. Errors:
	// CodeInputTooLarge if all references together have more than most bytes, CodeUnavailable.
	Resolve(ctx context.Context, inputs []*jobs.Inputs, most int) (
		resolved []*jobs.Inputs, refused []error, release func(), err error)
}

var errNoFiles = jobs.Errorf(jobs.CodeInvalidRequest,
	`"files" cannot refer to files here, since this service has no access to them; send their content`)

// resolve returns the inputs with the contents of the files that they refer to. The caller calls release.
func (d *Dispatcher) resolve(ctx context.Context, in *jobs.Inputs) (*jobs.Inputs, func(), error) {
	if !in.Refers() {
		return in, func() {}, nil
	}
	if d.settings.Files == nil {
		return nil, func() {}, errNoFiles
	}
	resolved, refused, release, err := d.settings.Files.Resolve(ctx, []*jobs.Inputs{in}, jobs.MaxFilesBytes)
	if err != nil {
		return nil, func() {}, err
	}
	if refused[0] != nil {
		release()
		return nil, func() {}, refused[0]
	}
	return resolved[0], release, nil
}

// acceptedBefore returns the job of an earlier request with the same idempotency record, for a request that cannot be
// accepted any more: its files or its environment are gone. refusal is the error for a request without such a job.
func (d *Dispatcher) acceptedBefore(
	ctx context.Context, request jobs.Request, refusal error, before func(id string),
) (accepted, error) {
	caller := jobs.CallerOf(ctx)
	key := singleKey(caller.Tenant, request)
	if key == "" || jobs.CodeOf(refusal) == "" {
		return accepted{}, refusal
	}
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	id, err := d.store.KeyHolder(bounded, key, request.Fingerprint)
	if err == nil && id == "" {
		return accepted{}, refusal
	}
	if err == nil {
		before(id)
		err = d.store.MarkShared(bounded, id)
	}
	if err == nil {
		_, err = d.store.State(bounded, caller, id)
	}
	if jobs.CodeOf(err) == jobs.CodeNotFound {
		// Its request is being accepted at this moment, or its API died.
		return accepted{}, jobs.Unavailable("an earlier request with this Idempotency-Key is not accepted yet; "+
			"repeat this one after a moment", refusal)
	}
	if err != nil {
		return accepted{}, d.refused(ctx, err)
	}
	return accepted{id: id}, nil
}

// resolveItems returns the request for a batch with the contents of the files that its items refer to. The items whose
// files cannot be read have an error. The caller calls release.
func (d *Dispatcher) resolveItems(
	ctx context.Context, request jobs.BatchRequest,
) (jobs.BatchRequest, func(), error) {
	inputs, refers := make([]*jobs.Inputs, len(request.Items)), false
	for i, item := range request.Items {
		if item.Err == nil {
			inputs[i] = item.Request.Inputs
			refers = refers || item.Request.Inputs.Refers()
		}
	}
	if !refers {
		return request, func() {}, nil
	}
	if d.settings.Files == nil {
		return request, func() {}, errNoFiles
	}
	// Together, since the time that accepting a batch may take depends on it: see itemLost.
	inputs, refused, release, err := d.settings.Files.Resolve(ctx, inputs, jobs.MaxBatchBytes-batchBytes(request))
	if err != nil {
		return request, func() {}, err
	}
	request.Items = slices.Clone(request.Items)
	for i := range request.Items {
		if request.Items[i].Err == nil {
			request.Items[i].Err, request.Items[i].Request.Inputs = refused[i], inputs[i]
		}
	}
	return request, release, nil
}
