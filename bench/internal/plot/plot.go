// Package plot draws what was measured as SVG, on logarithmic scales: what is
// twice as long is equally far apart everywhere, and what takes milliseconds
// stands beside what takes a minute.
package plot

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// The colours of series, which people who see fewer hues can tell apart, too, and
// dark enough for text. After https://jfly.uni-koeln.de/color/
var colours = []string{"#0072b2", "#d55e00", "#00845f", "#b8578f", "#8a5a00", "#555555"}

const (
	ink  = "#222222"
	grid = "#dddddd"
	size = 13 // pixels of text
)

// canvas collects the elements of a picture.
type canvas struct {
	strings.Builder
	width, height float64
}

func newCanvas(width, height float64, title string) *canvas {
	c := &canvas{width: width, height: height}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="%d" fill="%s" role="img">`+"\n",
		width, height, width, height, size, ink)
	fmt.Fprintf(c, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", html.EscapeString(title))
	c.text(16, 26, "start", true, ink, title)
	return c
}

func (c *canvas) text(x, y float64, anchor string, bold bool, colour, text string) {
	weight := ""
	if bold {
		weight = ` font-weight="bold"`
	}
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s"%s>%s</text>`+"\n", x, y, anchor, colour, weight, html.EscapeString(text))
}

func (c *canvas) line(x1, y1, x2, y2 float64, colour string, width float64) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%g"/>`+"\n", x1, y1, x2, y2, colour, width)
}

func (c *canvas) dot(x, y float64, colour string) {
	fmt.Fprintf(c, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x, y, colour)
}

func (c *canvas) end() []byte {
	c.WriteString("</svg>\n")
	return []byte(c.String())
}

// legend writes the names of series beside their dots, from x on.
func (c *canvas) legend(x, y float64, names []string) {
	for i, name := range names {
		c.dot(x, y-4, colour(i))
		c.text(x+9, y, "start", false, ink, name)
		x += 9 + textWidth(name) + 22
	}
}

func colour(i int) string { return colours[i%len(colours)] }

// textWidth is about how wide a text is.
func textWidth(s string) float64 { return float64(len([]rune(s))) * size * 0.56 }

// axis maps values to pixels, logarithmically.
type axis struct {
	low, high, from, to float64
	room                float64 // pixels that a tick's label takes
}

// newAxis makes an axis that holds all values, to the next of 1, 2, 5.
func newAxis(values []float64, from, to, room float64) axis {
	a := tightAxis(values, from, to, room)
	a.low, a.high = step(a.low, -1), step(a.high, 1)
	return a.opened()
}

// tightAxis makes an axis that ends at the least and the greatest of values.
func tightAxis(values []float64, from, to, room float64) axis {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high {
		low, high = 1, 10
	}
	return axis{low, high, from, to, room}.opened()
}

// opened gives an axis of one value some width.
func (a axis) opened() axis {
	if a.low == a.high {
		a.low, a.high = a.low/2, a.high*2
	}
	return a
}

// step gives the number of the form 1, 2 or 5 times a power of ten that is next
// to v, below or above.
func step(v float64, direction int) float64 {
	best := 0.0
	for exponent := math.Floor(math.Log10(v)) - 1; exponent <= math.Ceil(math.Log10(v))+1; exponent++ {
		for _, digit := range []float64{1, 2, 5} {
			s := digit * math.Pow(10, exponent)
			if direction < 0 && s <= v*1.0000001 || direction > 0 && s >= v*0.9999999 && best == 0 {
				best = s
			}
		}
	}
	return best
}

func (a axis) at(v float64) float64 {
	if v <= 0 {
		return a.from
	}
	return a.from + (a.to-a.from)*math.Log(v/a.low)/math.Log(a.high/a.low)
}

// ticks are the values to label: 1, 2, 5 of each power of ten, or the powers
// alone where those would be too close.
func (a axis) ticks() []float64 {
	digits := []float64{1, 2, 5}
	if math.Log10(a.high/a.low)*3*a.room > math.Abs(a.to-a.from) {
		digits = digits[:1]
	}
	var ticks []float64
	for exponent := math.Floor(math.Log10(a.low)); exponent <= math.Ceil(math.Log10(a.high)); exponent++ {
		for _, digit := range digits {
			if v := digit * math.Pow(10, exponent); v >= a.low*0.9999999 && v <= a.high*1.0000001 {
				ticks = append(ticks, v)
			}
		}
	}
	return ticks
}

// Number writes a number with three digits that count, and the thousands of large
// ones apart.
func Number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100:
		return Count(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Floor(math.Log10(v)))), 64)
}

// Count writes a number of things, the thousands apart.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// tick writes the label of a tick.
func tick(v float64) string {
	if v >= 1000 {
		return Number(v)
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}
