package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// protocols are the values of OTEL_EXPORTER_OTLP_PROTOCOL, the default first.
var protocols = []string{"http/protobuf", "http/json", protocolGRPC}

const protocolGRPC = "grpc"

// settings are what the SDK and its exporters do not decide themselves. They read the same variables, and more.
type settings struct {
	// endpoint is what logs may show; "" if traces are off.
	endpoint string
	// protocol is one of protocols.
	protocol string
}

// readSettings returns an error for what the SDK would ignore.
func readSettings() (settings, error) {
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	exporter := strings.ToLower(cmp.Or(os.Getenv("OTEL_TRACES_EXPORTER"), "otlp"))
	if endpoint == "" || exporter == "none" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return settings{}, nil
	}
	if exporter != "otlp" {
		return settings{}, fmt.Errorf("OTEL_TRACES_EXPORTER is %q; otlp (the default) and none are possible", exporter)
	}
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"),
		protocols[0])
	if !slices.Contains(protocols, protocol) {
		return settings{}, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; possible are %s", protocol,
			strings.Join(protocols, ", "))
	}
	parsed, err := url.Parse(endpoint)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
		// Not quoted: it may contain a password.
		return settings{}, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://collector:4318")
	}
	return settings{endpoint: parsed.Scheme + "://" + parsed.Host, protocol: protocol}, nil
}

// newExporter returns an exporter, which connects later.
func (s settings) newExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if s.protocol == protocolGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}
