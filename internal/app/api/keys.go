package api

import (
	"context"

	"cellblock/internal/tenantkeys"
)

// tenantKeys are the keys of tenants, for httpapi.
type tenantKeys struct {
	*tenantkeys.Store
	*tenantkeys.Verifier
}

// openKeys opens the keys in Redis, and those of API_KEYS_FILE if it is set.
func (s *service) openKeys() (keys tenantKeys, err error) {
	if path := s.settings.HTTP.KeysFile; path != "" {
		if s.keysFile, err = tenantkeys.OpenFile(path, s.logger); err != nil {
			return tenantKeys{}, err
		}
	}
	store := tenantkeys.NewStore(s.monitor.Client())
	verifier := tenantkeys.NewVerifier(store, s.keysFile).WithDefaults(s.settings.Tenants.Limits())
	return tenantKeys{Store: store, Verifier: verifier}, nil
}

// watchKeys follows the changes of API_KEYS_FILE until ctx is done.
func (s *service) watchKeys(ctx context.Context) {
	if s.keysFile != nil {
		s.keysFile.Watch(ctx)
	}
}
