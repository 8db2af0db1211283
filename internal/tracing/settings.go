package tracing

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// readSettings returns the endpoint of the exporter as logs may show it, "" if traces are off. The SDK and the exporter
// read the same variables and more; these are the ones that they would ignore, or that would surprise if they did.
func readSettings() (endpoint string, err error) {
	endpoint = cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	exporter := strings.ToLower(cmp.Or(os.Getenv("OTEL_TRACES_EXPORTER"), "otlp"))
	if endpoint == "" || exporter == "none" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return "", nil
	}
	if exporter != "otlp" {
		return "", fmt.Errorf("OTEL_TRACES_EXPORTER is %q; otlp and none are possible", exporter)
	}
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"))
	switch protocol {
	case "", "http/protobuf", "http/json":
	case "grpc":
		return "", fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is grpc; http/protobuf (the default) and http/json are " +
			"possible, which collectors receive at port 4318")
	default:
		return "", fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; http/protobuf and http/json are possible", protocol)
	}
	parsed, err := url.Parse(endpoint)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
		return "", fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://collector:4318") // not quoted: it may have a password
	}
	return parsed.Scheme + "://" + parsed.Host, nil
}
