package main

import (
	"cmp"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// grid places panels from left to right and from top to bottom, and numbers them.
type grid struct {
	x, y, high uint32
	ids        uint32
}

func (g *grid) id() uint32 {
	g.ids++
	return g.ids
}

// row returns the position of a row's title, below all panels so far.
func (g *grid) row() dashboard.GridPos {
	g.wrap()
	pos := dashboard.GridPos{X: 0, Y: g.y, W: columns, H: 1}
	g.y++
	return pos
}

// next returns the position of a panel of this size.
func (g *grid) next(wide, high uint32) dashboard.GridPos {
	if g.x+wide > columns || g.high != 0 && g.high != high {
		g.wrap()
	}
	pos := dashboard.GridPos{X: g.x, Y: g.y, W: wide, H: high}
	g.x += wide
	g.high = high
	return pos
}

func (g *grid) wrap() {
	g.x, g.y, g.high = 0, g.y+g.high, 0
}

// sortSteps orders steps by their values; the one without a value is the first.
func sortSteps(steps []dashboard.Threshold) {
	slices.SortFunc(steps[1:], func(a, b dashboard.Threshold) int { return cmp.Compare(*a.Value, *b.Value) })
}
