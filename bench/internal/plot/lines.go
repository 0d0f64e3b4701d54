package plot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Point is one value at one number.
type Point struct{ X, Y float64 }

// Line is a series of points with the name that stands at its end.
type Line struct {
	Label  string
	Points []Point
}

// Lines draws how values grow, both axes logarithmic: what grows in proportion is
// a line at 45 degrees of the decades.
func Lines(title, xUnit, yUnit string, lines []Line) []byte {
	const width, height, left, right, top, bottom = 820.0, 430.0, 78.0, 210.0, 66.0, 58.0
	c := newCanvas(width, height, title)
	var xs, ys []float64
	for _, l := range lines {
		for _, p := range l.Points {
			xs, ys = append(xs, p.X), append(ys, p.Y)
		}
	}
	x, y := tightAxis(xs, left, width-right, 44), newAxis(ys, height-bottom, top, 20)
	for _, v := range x.ticks() {
		c.line(x.at(v), top, x.at(v), height-bottom, grid, 1)
		c.text(x.at(v), height-bottom+18, "middle", false, ink, tick(v))
	}
	for _, v := range y.ticks() {
		c.line(left, y.at(v), width-right, y.at(v), grid, 1)
		c.text(left-8, y.at(v)+4.5, "end", false, ink, tick(v))
	}
	c.text((left+width-right)/2, height-bottom+40, "middle", false, ink, xUnit)
	c.text(16, 50, "start", false, ink, yUnit)
	for i, l := range lines {
		var path strings.Builder
		for _, p := range l.Points {
			fmt.Fprintf(&path, "%.1f,%.1f ", x.at(p.X), y.at(p.Y))
		}
		fmt.Fprintf(c, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.TrimSpace(path.String()), colour(i))
		for _, p := range l.Points {
			c.dot(x.at(p.X), y.at(p.Y), colour(i))
		}
	}
	c.endLabels(x, y, lines, height-bottom)
	return c.end()
}

// endLabels names each line at its last point, moved as far as it must be so that
// no two meet and none is below bottom.
func (c *canvas) endLabels(x, y axis, lines []Line, bottom float64) {
	const apart = 17
	type label struct {
		at   float64
		last Point
		line int
	}
	var labels []label
	for i, l := range lines {
		last := l.Points[len(l.Points)-1]
		labels = append(labels, label{y.at(last.Y), last, i})
	}
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(labels); i++ {
		labels[i].at = max(labels[i].at, labels[i-1].at+apart)
	}
	for i := len(labels) - 1; i >= 0; i-- {
		labels[i].at = min(labels[i].at, bottom)
		bottom = labels[i].at - apart
	}
	for _, l := range labels {
		c.text(x.at(l.last.X)+12, l.at+4.5, "start", false, colour(l.line), lines[l.line].Label+", "+Number(l.last.Y))
	}
}
