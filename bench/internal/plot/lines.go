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
	x, y := newAxis(xs, left, width-right), newAxis(ys, height-bottom, top)
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
	c.endLabels(x, y, lines)
	return c.end()
}

// endLabels names each line at its last point, as far down as it must be so that
// no two meet.
func (c *canvas) endLabels(x, y axis, lines []Line) {
	type label struct {
		at, x float64
		line  int
	}
	var labels []label
	for i, l := range lines {
		last := l.Points[len(l.Points)-1]
		labels = append(labels, label{y.at(last.Y), x.at(last.X), i})
	}
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.at, b.at) })
	free := 0.0
	for _, l := range labels {
		at := max(l.at, free)
		last := lines[l.line].Points[len(lines[l.line].Points)-1]
		c.text(l.x+12, at+4.5, "start", false, colour(l.line), lines[l.line].Label+", "+Number(last.Y))
		free = at + 17
	}
}
