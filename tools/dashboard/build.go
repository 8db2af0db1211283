package main

import (
	"cmp"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// section is a row of the dashboard with its panels.
type section struct {
	title  string
	panels []panel
}

// panel shows queries with one unit.
type panel struct {
	title, description string
	// unit is Grafana's id of a unit, such as "s".
	unit    string
	queries []query
	// now shows the last value as a number, instead of lines over time.
	now bool
	// stacked adds the lines up.
	stacked bool
	// warn and fail are values of a number from which it is yellow and red; 0 for none.
	warn, fail float64
	// empty is shown while there is no value; "" is a dash.
	empty string
}

// query is PromQL with the legend of its series, which may refer to labels as in {{environment}}.
type query struct{ expr, legend string }

// Columns and rows of the grid.
const (
	columns     = 24
	numbersWide = 3
	linesWide   = 8
	numbersHigh = 4
	linesHigh   = 8
)

// noValue is what Grafana shows itself.
const noValue = "-"

// source is the datasource that the dashboard's variable names.
var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// build returns the dashboard of the sections. Positions and ids follow from their order, so that the same sections
// always make the same file.
func build(sections []section) (dashboard.Dashboard, error) {
	builder := dashboard.NewDashboardBuilder("Cellblock").
		Uid("cellblock").
		Description("Traffic, queue, workers, Redis, webhooks and tenants of a Cellblock service.").
		Tags([]string{"cellblock"}).
		Readonly().
		Refresh("30s").
		Time("now-3h", "now").
		Timezone("browser").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		Annotation(firingAlerts())
	grid := &grid{}
	for _, s := range sections {
		builder.WithRow(dashboard.NewRowBuilder(s.title).Id(grid.id()).GridPos(grid.row()))
		for _, p := range s.panels {
			if p.now {
				builder.WithPanel(p.numbers(grid))
			} else {
				builder.WithPanel(p.lines(grid))
			}
		}
	}
	built, err := builder.Build()
	if err != nil {
		return built, fmt.Errorf("build the dashboard: %w", err)
	}
	return built, built.Validate()
}

// firingAlerts marks the time in which alerts fire.
func firingAlerts() cog.Builder[dashboard.AnnotationQuery] {
	return dashboard.NewAnnotationQueryBuilder().
		Name("Alerts").Datasource(source).Enable(true).IconColor("red").
		Expr(`ALERTS{alertname=~"Cellblock.*", alertstate="firing"}`)
}

// lines returns a panel of lines over time.
func (p panel) lines(grid *grid) cog.Builder[dashboard.Panel] {
	stacking := common.StackingModeNone
	if p.stacked {
		stacking = common.StackingModeNormal
	}
	panel := timeseries.NewPanelBuilder().
		Id(grid.id()).GridPos(grid.next(linesWide, linesHigh)).
		Title(p.title).Description(p.description).Datasource(source).
		Unit(p.unit).Min(0).NoValue(cmp.Or(p.empty, noValue)).
		FillOpacity(10).ShowPoints(common.VisibilityModeNever).
		Stacking(common.NewStackingConfigBuilder().Mode(stacking)).
		Legend(common.NewVizLegendOptionsBuilder().
			ShowLegend(true).DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).
			Calcs([]string{"lastNotNull", "max"})).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for i, q := range p.queries {
		panel.WithTarget(q.target(i).Range())
	}
	return panel
}

// numbers returns a panel with the last values.
func (p panel) numbers(grid *grid) cog.Builder[dashboard.Panel] {
	steps := []dashboard.Threshold{{Color: "green"}}
	for color, value := range map[string]float64{"yellow": p.warn, "red": p.fail} {
		if value != 0 {
			steps = append(steps, dashboard.Threshold{Color: color, Value: cog.ToPtr(value)})
		}
	}
	sortSteps(steps)
	panel := stat.NewPanelBuilder().
		Id(grid.id()).GridPos(grid.next(numbersWide, numbersHigh)).
		Title(p.title).Description(p.description).Datasource(source).
		Unit(p.unit).NoValue(cmp.Or(p.empty, noValue)).Orientation(common.VizOrientationAuto).
		GraphMode(common.BigValueGraphModeNone).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps))
	for i, q := range p.queries {
		panel.WithTarget(q.target(i).Instant())
	}
	return panel
}

func (q query) target(index int) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().
		RefId(string(rune('A' + index))).Datasource(source).
		EditorMode(prometheus.QueryEditorModeCode).
		Expr(q.expr).LegendFormat(q.legend)
}
