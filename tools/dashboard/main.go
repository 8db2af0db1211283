// Command dashboard prints Cellblock's dashboard for Grafana as JSON: deploy/monitoring/grafana/dashboard.json. go
// generate runs it. The queries use the metrics of docs/metrics.md; test/monitoring runs each of them.
package main

import (
	"encoding/json"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("dashboard: ")
	built, err := build(sections)
	if err != nil {
		log.Fatal(err)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(built); err != nil {
		log.Fatal(err)
	}
}
