package httpapi

import (
	"context"
	"net/http"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Keys has the keys of tenants.
type Keys interface {
	// Verify returns the caller whose key this is, and reports whether the key can be used; not if it is unknown, has
	// expired or is revoked. Errors: the context's, CodeUnavailable.
	Verify(ctx context.Context, key string) (caller jobs.Caller, valid bool, err error)
	// Create creates a key and returns it, for the only time. Errors: CodeInvalidRequest, CodeUnavailable.
	Create(ctx context.Context, spec jobs.KeySpec) (secret string, key jobs.Key, err error)
	// List returns the keys of a tenant, or all if tenant is "": ordered by tenant, then by age, and for a while those
	// too that can be used no longer. Errors: CodeUnavailable.
	List(ctx context.Context, tenant jobs.Tenant) ([]jobs.Key, error)
	// Revoke ends a key at once; one that is revoked already stays as it is. Errors: CodeNotFound, CodeUnavailable.
	Revoke(ctx context.Context, id string) (jobs.Key, error)
	// Rotate creates a key like another, which can be used for grace yet. Errors: CodeNotFound, CodeInvalidRequest if
	// the other has ended, CodeUnavailable.
	Rotate(ctx context.Context, id string, grace time.Duration) (secret string, key jobs.Key, err error)
}

// maxKeyRequest bounds the bodies of requests about keys.
const maxKeyRequest = 64 << 10

// ListKeys handles GET /admin/keys.
func (h *Handler) ListKeys(w http.ResponseWriter, r *http.Request, params api.ListKeysParams) {
	var tenant jobs.Tenant
	if params.Tenant != nil {
		if tenant = jobs.Tenant(*params.Tenant); !jobs.IsTenantName(*params.Tenant) {
			h.writeError(w, r, jobs.Errorf(jobs.CodeInvalidRequest, `"tenant" must be the name of a tenant: 1 to 63 `+
				`lower case letters, digits and hyphens`))
			return
		}
	}
	keys, err := h.keys.List(r.Context(), tenant)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	body := api.KeyList{Keys: make([]api.Key, len(keys))}
	for i, key := range keys {
		body.Keys[i] = keyBody(key)
	}
	h.writeJSON(w, r, http.StatusOK, body)
}

// CreateKey handles POST /admin/keys.
func (h *Handler) CreateKey(w http.ResponseWriter, r *http.Request) {
	body, release, err := h.readKeyRequest(w, r)
	defer release()
	var spec jobs.KeySpec
	if err == nil {
		spec, err = jobs.DecodeKeySpec(body)
	}
	if err == nil && !h.settings.needsToken() {
		err = jobs.Errorf(jobs.CodeInvalidRequest, "this service needs no token, so a key would mean nothing: every "+
			"request is the operator's. Start the API with API_TOKEN (or API_KEYS_FILE), then create keys")
	}
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	secret, key, err := h.keys.Create(r.Context(), spec)
	requestStateOf(r).audit.SetTarget(key.ID)
	h.writeNewKey(w, r, secret, key, err)
}

// RotateKey handles POST /admin/keys/{key_id}/rotate.
func (h *Handler) RotateKey(w http.ResponseWriter, r *http.Request, keyID string) {
	body, release, err := []byte(nil), func() {}, error(nil)
	if r.ContentLength != 0 {
		body, release, err = h.readKeyRequest(w, r)
	}
	defer release()
	var grace time.Duration
	if err == nil {
		grace, err = jobs.DecodeGrace(body)
	}
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	secret, key, err := h.keys.Rotate(r.Context(), keyID, grace)
	h.writeNewKey(w, r, secret, key, err)
}

// writeNewKey responds with a key that was created.
func (h *Handler) writeNewKey(w http.ResponseWriter, r *http.Request, secret string, key jobs.Key, err error) {
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	h.logger.InfoContext(r.Context(), "created key", keyAttrs(r, key)...)
	described := keyBody(key)
	h.writeJSON(w, r, http.StatusCreated, api.NewKey{
		Key: secret, KeyID: described.KeyID, Tenant: described.Tenant, Name: described.Name, Scopes: described.Scopes,
		Limits: described.Limits, Status: described.Status, CreatedAt: described.CreatedAt,
		ExpiresAt: described.ExpiresAt, RevokedAt: described.RevokedAt,
	})
}

// RevokeKey handles DELETE /admin/keys/{key_id}.
func (h *Handler) RevokeKey(w http.ResponseWriter, r *http.Request, keyID string) {
	key, err := h.keys.Revoke(r.Context(), keyID)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	h.logger.InfoContext(r.Context(), "revoked key", keyAttrs(r, key)...)
	h.writeJSON(w, r, http.StatusOK, keyBody(key))
}

// keyAttrs are the facts of a change of a key for the log.
func keyAttrs(r *http.Request, key jobs.Key) []any {
	return []any{
		"key_id", key.ID, "tenant", string(key.Tenant), "by_key_id", jobs.CallerOf(r.Context()).KeyID,
		"request_id", requestStateOf(r).requestID,
	}
}

// readKeyRequest returns the body of a request about keys. The caller calls release, which is never nil.
func (h *Handler) readKeyRequest(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if err := checkJSONType(r.Header); err != nil {
		return nil, func() {}, err
	}
	if release, err = h.bodies.acquire(w, r, maxKeyRequest); err != nil {
		return nil, func() {}, err
	}
	body, err = readBody(w, r, maxKeyRequest, func([]byte) error {
		return jobs.Errorf(jobs.CodeInputTooLarge, "the body has more than %d bytes", maxKeyRequest)
	})
	return body, release, err
}

func keyBody(key jobs.Key) api.Key {
	body := api.Key{
		KeyID: key.ID, Tenant: string(key.Tenant), Name: key.Name, Scopes: make([]string, len(key.Scopes)),
		Status: string(key.State), CreatedAt: timestamp(key.CreatedAt),
		ExpiresAt: timestampOrNull(key.ExpiresAt), RevokedAt: timestampOrNull(key.RevokedAt),
	}
	for i, scope := range key.Scopes {
		body.Scopes[i] = string(scope)
	}
	if !key.Limits.IsZero() {
		body.Limits = tenantLimitsBody(key.Limits)
	}
	return body
}

func tenantLimitsBody(l jobs.TenantLimits) *api.TenantLimits {
	body := &api.TenantLimits{
		Weight: l.Weight, RequestsPerSecond: l.RequestsPerSecond, Burst: l.Burst,
		OpenJobs: l.OpenJobs, RunningJobs: l.RunningJobs,
		CPUSecondsPerDay: l.CPUPerDay.Seconds(), Environments: l.Environments,
	}
	if most := l.Largest; most != (jobs.RequestedLimits{}) {
		body.Largest = &api.RequestLimits{
			WallSeconds: orNil(float32(most.Wall.Seconds())), CPUSeconds: orNil(float32(most.CPU.Seconds())),
			MemoryMb: orNil(float32(most.MemoryBytes) / (1 << 20)), Processes: orNil(most.Processes),
			OutputBytes: orNil(int(most.OutputBytes)),
		}
	}
	return body
}

// orNil returns nil for a value that is not set.
func orNil[T comparable](value T) *T {
	var unset T
	if value == unset {
		return nil
	}
	return &value
}
