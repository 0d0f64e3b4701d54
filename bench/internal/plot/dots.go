package plot

// Span is a median and what it lies between.
type Span struct{ Low, Median, High float64 }

// Row is one line of a dot plot, with a span for each series.
type Row struct {
	Label string
	Bold  bool
	Spans []Span
}

// Dots draws medians as dots with their spread as lines, a row for each thing
// that was measured.
func Dots(title, unit string, series []string, rows []Row) []byte {
	const width, right, top, bottom = 820.0, 30.0, 66.0, 48.0
	left := 60.0
	for _, row := range rows {
		left = max(left, textWidth(row.Label)*1.1+28)
	}
	between := 17*float64(len(series)) + 8
	end := top + between*float64(len(rows))
	c := newCanvas(width, end+bottom, title)
	if len(series) > 1 {
		c.legend(left, 50, series)
	}
	x := newAxis(spansOf(rows), left+6, width-right-58, 44)
	for _, v := range x.ticks() {
		c.line(x.at(v), top, x.at(v), end, grid, 1)
		c.text(x.at(v), end+18, "middle", false, ink, tick(v))
	}
	c.text((x.from+x.to)/2, end+38, "middle", false, ink, unit)
	for i, row := range rows {
		y := top + between*float64(i)
		if i > 0 {
			c.line(16, y, width-right, y, "#eeeeee", 1)
		}
		c.text(left-12, y+between/2+5, "end", row.Bold, ink, row.Label)
		for j, s := range row.Spans {
			at := y + 4 + 17*(float64(j)+0.5)
			if s.Median <= 0 {
				continue
			}
			c.line(x.at(s.Low), at, x.at(s.High), at, colour(j), 2)
			c.dot(x.at(s.Median), at, colour(j))
			c.text(max(x.at(s.High), x.at(s.Median))+10, at+4.5, "start", row.Bold, colour(j), Number(s.Median))
		}
	}
	return c.end()
}

func spansOf(rows []Row) []float64 {
	var values []float64
	for _, row := range rows {
		for _, s := range row.Spans {
			values = append(values, s.Low, s.Median, s.High)
		}
	}
	return values
}
