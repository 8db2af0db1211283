package webhook

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type enqueued struct{}

func (enqueued) EnqueueWebhook(context.Context, string) error { return nil }

// fixture is a sender with real records. It may connect to 127.0.0.2 only.
type fixture struct {
	*store.Store
	*Sender
	log strings.Builder
	mu  sync.Mutex
	// observed are the results of the attempts.
	observed []string
}

func newFixture(t *testing.T, change func(*Settings)) *fixture { return newFixtureWith(t, change, nil) }

func newFixtureWith(t *testing.T, change func(*Settings), resolver *net.Resolver) *fixture {
	t.Helper()
	settings := Settings{
		Secret: vectorSecret, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
		Attempts: 3, Pause: time.Minute, Timeout: 2 * time.Second, Concurrency: 1,
	}
	if change != nil {
		change(&settings)
	}
	b := &fixture{Store: store.New(redistest.Open(t),
		store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour}).WithWebhooks(enqueued{})}
	var err error
	b.Sender, err = newSender(Config{
		Settings: settings, Records: b.Store, Agent: "Cellblock/test",
		Message: func(_ context.Context, record jobs.Record) ([]byte, error) {
			return fmt.Appendf(nil, `{"id":%q,"attempt":%d}`, record.ID, record.Webhook.Attempts), nil
		},
		Observe: func(failureReason string, status jobs.WebhookStatus) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.observed = append(b.observed, failureReason+"/"+string(status))
		},
		Logger: slog.New(slog.NewJSONHandler(io.MultiWriter(&b.log, t.Output()), nil)),
	}, resolver)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ended creates an ended job whose webhook goes to url.
func (b *fixture) ended(t *testing.T, url string) string {
	t.Helper()
	id := jobs.NewID()
	if err := b.Create(t.Context(), jobs.Job{Tenant: jobs.Operator, ID: id, WebhookURL: url}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.End(t.Context(), id, jobs.Outcome{}); err != nil {
		t.Fatal(err)
	}
	return id
}

// send makes one attempt and returns the webhook's state after it.
func (b *fixture) send(t *testing.T, id string) (jobs.Webhook, time.Duration) {
	t.Helper()
	again, err := b.Send(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	record, err := b.Get(t.Context(), jobs.OperatorCaller(), id)
	if err != nil {
		t.Fatal(err)
	}
	return *record.Webhook, again
}

// serve serves handle on a loopback address; port 0 picks a free port.
func serve(t *testing.T, address string, handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{
		Listener: listener,
		Config:   &http.Server{Handler: handle, ReadHeaderTimeout: time.Second},
	}
	server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelDebug)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// forbidden counts the connections to an address that must not be used.
func forbidden(t *testing.T, address string) (where string, connections *atomic.Int64) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int64{}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
	})
	return listener.Addr().String(), connections
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	b := newFixture(t, nil)
	hook, err := webhooks.NewWebhook(vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	var ids, bodies []string
	server := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || hook.Verify(body, r.Header) != nil {
			t.Errorf("the message cannot be verified: %v, %v", err, hook.Verify(body, r.Header))
		}
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" ||
			r.UserAgent() != "Cellblock/test" || r.URL.RawQuery != "token=hunter2" {
			t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
		}
		ids, bodies = append(ids, r.Header.Get("Webhook-Id")), append(bodies, string(body))
		if len(ids) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	id := b.ended(t, server.URL+"/path?token=hunter2")
	got, again := b.send(t, id)
	if got.Status != jobs.WebhookPending || got.Attempts != 1 || got.ResponseStatus != 500 || got.Error != "status" ||
		again < time.Minute || again > 90*time.Second {
		t.Errorf("first: %+v, again in %s", got, again)
	}
	if got, again = b.send(t, id); got.Status != jobs.WebhookDelivered || got.Attempts != 2 ||
		got.ResponseStatus != 204 || got.Error != "" || again != 0 || !got.NextAttemptAt.IsZero() {
		t.Errorf("second: %+v, again in %s", got, again)
	}
	// The queue may deliver the job's id once more.
	if _, again = b.send(t, id); again != 0 || len(ids) != 2 {
		t.Errorf("sent %d times, again in %s", len(ids), again)
	}
	if ids[0] != "msg_"+id || ids[1] != ids[0] {
		t.Errorf("ids %v", ids)
	}
	if bodies[1] != fmt.Sprintf(`{"id":%q,"attempt":2}`, id) {
		t.Errorf("bodies %v", bodies)
	}
	if got := strings.Join(b.observed, " "); got != "status/pending /delivered" {
		t.Errorf("observed %q", got)
	}
	log := b.log.String()
	if strings.Contains(log, "hunter2") || strings.Contains(log, "/path") || strings.Contains(log, "whsec") ||
		!strings.Contains(log, `"host":"`+server.Listener.Addr().String()+`"`) {
		t.Errorf("the log has %s", log)
	}
}

func TestFailureReasons(t *testing.T) {
	t.Parallel()
	b := newFixture(t, func(s *Settings) { s.Timeout = 1500 * time.Millisecond })
	elsewhere, seen := forbidden(t, "127.0.0.1:0")
	released := make(chan struct{})
	defer close(released)
	answering := func(handle http.HandlerFunc) string { return serve(t, "127.0.0.2:0", handle).URL }
	closed := serve(t, "127.0.0.2:0", nil)
	closed.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelDebug)
	_ = secure.Listener.Close()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	secure.Listener = listener
	secure.StartTLS()
	defer secure.Close()
	cases := []struct {
		name, url string
		status    int
		wrong     string
	}{
		{"redirect", answering(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+elsewhere, http.StatusFound)
		}), 302, "redirect"},
		{"redirect that keeps the method", answering(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+elsewhere, http.StatusPermanentRedirect)
		}), 308, "redirect"},
		{"not found", answering(http.NotFound), 404, "status"},
		{"slow", answering(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-released:
			case <-r.Context().Done():
			}
		}), 0, "timeout"},
		{"down", closed.URL, 0, "connection_refused"},
		{
			"cut", answering(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), 0,
			"connection_failed",
		},
		{"another protocol", strings.Replace(secure.URL, "https", "http", 1), 400, "status"},
		{"no TLS", strings.Replace(answering(http.NotFound), "http", "https", 1), 0, "tls_failed"},
		{"unknown authority", secure.URL, 0, "tls_failed"},
		{"loopback", "http://" + elsewhere, 0, "address_not_allowed"},
		{"loopback by name", "http://localhost:" + strings.Split(elsewhere, ":")[1], 0, "address_not_allowed"},
		{"loopback, short", "http://127.1:" + strings.Split(elsewhere, ":")[1], 0, ""},
		{
			"large header",
			answering(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }),
			0, "connection_failed",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, again := b.send(t, b.ended(t, c.url))
			if c.wrong != "" && got.Error != c.wrong || got.ResponseStatus != c.status ||
				got.Status != jobs.WebhookPending || again == 0 {
				t.Errorf("got %+v, again in %s", got, again)
			}
		})
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("%d connections to a forbidden place", n)
	}
}

// An endless response is abandoned at the timeout, and a long one is not read to its end. In both cases the status
// counts.
func TestEndlessResponses(t *testing.T) {
	t.Parallel()
	b := newFixture(t, func(s *Settings) { s.Timeout = 300 * time.Millisecond })
	var written atomic.Int64
	for name, chunk := range map[string]int{"slow": 1, "fast": 1 << 20} {
		server := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for r.Context().Err() == nil {
				n, err := w.Write([]byte(strings.Repeat("x", chunk)))
				if written.Add(int64(n)); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				if chunk == 1 {
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
		start := time.Now()
		if got, _ := b.send(t, b.ended(t, server.URL)); got.Status != jobs.WebhookDelivered {
			t.Errorf("%s: %+v", name, got)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}

// A receiver that switches protocols and then sends nothing does not block the sender: no context ends such a
// connection.
func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	b := newFixture(t, func(s *Settings) { s.Timeout = 300 * time.Millisecond })
	ended := make(chan struct{})
	server := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn,
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n")
		// Wait for the sender to close it, or long enough for the test to fail.
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
		close(ended)
	})
	start := time.Now()
	if got, again := b.send(t, b.ended(t, server.URL)); got.Error != "status" ||
		got.ResponseStatus != http.StatusSwitchingProtocols || again == 0 {
		t.Errorf("got %+v, again in %s", got, again)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	<-ended
}

func TestTheLastAttempts(t *testing.T) {
	t.Parallel()
	b := newFixture(t, func(s *Settings) { s.Attempts = 2 })
	status := http.StatusServiceUnavailable
	server := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "4000")
		w.WriteHeader(status)
	})
	id := b.ended(t, server.URL)
	if _, again := b.send(t, id); again < time.Minute || again > 90*time.Second {
		t.Errorf("again in %s", again)
	}
	if got, again := b.send(t, id); got.Status != jobs.WebhookFailed || got.Attempts != 2 || again != 0 {
		t.Errorf("got %+v, again in %s", got, again)
	}
	status = http.StatusGone
	if got, again := b.send(t, b.ended(t, server.URL)); got.Status != jobs.WebhookFailed || got.Attempts != 1 ||
		got.Error != "gone" || again != 0 {
		t.Errorf("gone: %+v, again in %s", got, again)
	}
	if again, err := b.Send(t.Context(), jobs.NewID()); again != 0 || err != nil {
		t.Errorf("a job that is forgotten: %s, %v", again, err)
	}
}

// If the record cannot be read, this is no attempt: it must not use up the attempts.
func TestUnreadableRecordIsNoAttempt(t *testing.T) {
	t.Parallel()
	b := newFixture(t, nil)
	id := jobs.NewID()
	job := jobs.Job{Tenant: jobs.Operator, ID: id, WebhookURL: "http://127.0.0.2/"}
	if err := b.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Send(t.Context(), id); err == nil {
		t.Error("the end of a job that has not ended was sent")
	}
	record, err := b.Get(t.Context(), jobs.OperatorCaller(), id)
	if err != nil || record.Webhook.Attempts != 0 || record.Webhook.Status != jobs.WebhookWaiting {
		t.Errorf("%+v, %v", record.Webhook, err)
	}
}

func TestRetryAfterIsRespected(t *testing.T) {
	t.Parallel()
	b := newFixture(t, func(s *Settings) { s.Pause = time.Second })
	for value, want := range map[string]time.Duration{
		"30": 30 * time.Second, "999": time.Minute, "x": time.Second,
		"": time.Second,
	} {
		server := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		if _, again := b.send(t, b.ended(t, server.URL)); again < want || again > want*3/2 {
			t.Errorf("%q: again in %s, want %s", value, again, want)
		}
	}
}

// An attempt that is cancelled by our shutdown is left to another sender, and Wait waits for it.
func TestStopWhileSending(t *testing.T) {
	t.Parallel()
	b := newFixture(t, func(s *Settings) { s.Timeout = time.Minute })
	arrived := make(chan struct{})
	server := serve(t, "127.0.0.2:0", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	id := b.ended(t, server.URL)
	ctx, stop := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := b.Send(ctx, id)
		failed <- err
	}()
	<-arrived
	stop()
	b.Wait()
	if err := <-failed; err == nil {
		t.Error("no error")
	}
	record, err := b.Get(t.Context(), jobs.OperatorCaller(), id)
	if err != nil || record.Webhook.Status != jobs.WebhookPending || record.Webhook.Attempts != 1 {
		t.Errorf("%+v, %v", record.Webhook, err)
	}
}

// TestRebinding uses a name that resolves to an allowed address first, and to a forbidden one later.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var address atomic.Pointer[[4]byte]
	address.Store(&[4]byte{127, 0, 0, 2})
	var delivered atomic.Int64
	allowed := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) {
		delivered.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	_, port, _ := net.SplitHostPort(allowed.Listener.Addr().String())
	_, seen := forbidden(t, "127.0.0.1:"+port)
	b := newFixtureWith(t, nil, nameServer(t, &address))
	id := b.ended(t, "http://rebinding.example:"+port+"/")
	if got, _ := b.send(t, id); got.Error != "status" || delivered.Load() != 1 {
		t.Fatalf("first: %+v, delivered %d times", got, delivered.Load())
	}
	address.Store(&[4]byte{127, 0, 0, 1})
	if got, again := b.send(t, id); got.Error != "address_not_allowed" || again == 0 {
		t.Errorf("then: %+v, again in %s", got, again)
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("%d connections to a forbidden place", n)
	}
}

// nameServer answers every IPv4 query with the given address.
func nameServer(t *testing.T, address *atomic.Pointer[[4]byte]) *net.Resolver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var message dnsmessage.Message
			if message.Unpack(buffer[:n]) != nil || len(message.Questions) != 1 {
				continue
			}
			message.Response, message.Additionals = true, nil
			if q := message.Questions[0]; q.Type == dnsmessage.TypeA {
				message.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: *address.Load()},
				}}
			}
			if packed, err := message.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		serving.Wait()
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// slowRecords are records whose large fields take a while to be read.
type slowRecords struct {
	*store.Store

	pause time.Duration
}

func (r slowRecords) ReadBudgeted(
	ctx context.Context, caller jobs.Caller, id string, patience time.Duration,
) (jobs.Record, func(), error) {
	time.Sleep(r.pause)
	return r.Store.ReadBudgeted(ctx, caller, id, patience)
}

// The reaper requeues a webhook whose check is due, and another replica would send the message a second time.
func TestAWebhookIsNotDueWhileItsRecordIsRead(t *testing.T) {
	t.Parallel()
	b := newFixture(t, nil)
	receiver := serve(t, "127.0.0.2:0", func(http.ResponseWriter, *http.Request) {})
	b.Records = slowRecords{Store: b.Store, pause: readWatch + 2*time.Second}
	id := b.ended(t, receiver.URL)
	sent := make(chan error, 1)
	go func() {
		_, err := b.Send(t.Context(), id)
		sent <- err
	}()
	for {
		select {
		case err := <-sent:
			if err != nil {
				t.Error(err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
		if due, err := b.DueWebhooks(t.Context(), 1); err != nil || len(due) > 0 {
			t.Fatalf("due while it is read: %v, %v", due, err)
		}
	}
}
