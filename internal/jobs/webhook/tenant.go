package webhook

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"cellblock/internal/jobs"
)

const (
	// maxGeneration bounds the generation of a tenant's secret.
	maxGeneration = 1_000_000
	// derivedSecret is the length of a tenant's secret in bytes.
	derivedSecret = 32
)

// tenantSigner signs the messages of the operator's jobs with the service's secrets, and those of every other tenant
// with secrets of its own, so that no tenant can forge the messages of another. These are derived and stored nowhere.
type tenantSigner struct {
	secrets     secrets
	generations map[string]int
}

// generation returns the current generation of a tenant's secret, at least 1.
func (s tenantSigner) generation(tenant jobs.Tenant) int {
	return max(1, s.generations[string(tenant)])
}

// derive returns the tenant's secrets of one generation, one for each of the service's: HKDF-SHA256 of that without a
// salt, and with the tenant and the generation as info.
func (s tenantSigner) derive(tenant jobs.Tenant, generation int) (secrets, error) {
	info := "cellblock webhook secret\x00" + string(tenant) + "\x00" + strconv.Itoa(generation)
	derived := make(secrets, len(s.secrets))
	for i, key := range s.secrets {
		var err error
		if derived[i], err = hkdf.Key(sha256.New, key, nil, info, derivedSecret); err != nil {
			return nil, fmt.Errorf("derive the secret of a tenant: %w", err)
		}
	}
	return derived, nil
}

// sign sets the headers of a message about a job of the tenant. The generation before the current one signs too: a
// receiver that has the new secret no longer accepts the old one, and needs no moment in common with the service.
func (s tenantSigner) sign(header http.Header, tenant jobs.Tenant, id string, at time.Time, body []byte) error {
	signing := s.secrets
	if tenant != jobs.Operator {
		current := s.generation(tenant)
		var err error
		if signing, err = s.derive(tenant, current); err != nil {
			return err
		}
		if current > 1 {
			before, err := s.derive(tenant, current-1)
			if err != nil {
				return err
			}
			signing = slices.Concat(signing, before)
		}
	}
	signer, err := signing.signer()
	if err != nil {
		return err
	}
	return signer.sign(header, id, at, body)
}

// TenantSecrets returns the signing secrets of a tenant, one for each secret of the service in its order, and their
// generation: the current one for 0. It returns a *jobs.Error with CodeInvalidRequest for the operator, whose messages
// are signed with the service's secrets, and for a generation out of range.
func (s *Sender) TenantSecrets(tenant jobs.Tenant, generation int) (texts []string, of int, err error) {
	switch {
	case tenant == jobs.Operator || !jobs.IsTenantName(string(tenant)):
		return nil, 0, jobs.Errorf(jobs.CodeInvalidRequest,
			"only tenants other than the operator have a secret of their own; the operator's webhooks are signed with "+
				"CALLBACK_SECRET itself")
	case generation == 0:
		generation = s.signer.generation(tenant)
	case generation < 1 || generation > maxGeneration:
		return nil, 0, jobs.Errorf(jobs.CodeInvalidRequest, `"generation" must be a number from 1 to %d`, maxGeneration)
	}
	derived, err := s.signer.derive(tenant, generation)
	return derived.text(), generation, err
}

// checkGenerations returns an error for a name that no tenant can have, and for a number out of range.
func checkGenerations(generations map[string]int) error {
	for tenant, n := range generations {
		if !jobs.IsTenantName(tenant) || tenant == string(jobs.Operator) || n < 1 || n > maxGeneration {
			return fmt.Errorf("CALLBACK_GENERATIONS must be such as acme=2,beta=3: the names of tenants, and numbers "+
				"from 1 to %d; %.70q is %d", maxGeneration, tenant, n)
		}
	}
	return nil
}
