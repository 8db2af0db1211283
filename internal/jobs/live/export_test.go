package live

// MaxWatchers is the number of places.
const MaxWatchers = maxWatchers

// Watchers returns the number of watchers in this process.
func (h *Hub) Watchers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watchers
}
