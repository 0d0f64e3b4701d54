package measure

import "slices"

// Median gives the middle of values, or the mean of the two in the middle; 0 of
// none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Costs are those of one command, a round each.
type Costs []Cost

// Walls gives the wall time of each round, in seconds.
func (c Costs) Walls() []float64 {
	return c.each(func(c Cost) float64 { return c.Wall })
}

// CPU gives the median of the CPU time, in seconds.
func (c Costs) CPU() float64 {
	return Median(c.each(func(c Cost) float64 { return c.CPU }))
}

// Peak gives the highest peak memory of all rounds, in bytes.
func (c Costs) Peak() int64 {
	var peak int64
	for _, cost := range c {
		peak = max(peak, cost.Peak)
	}
	return peak
}

// Ratio gives the median of the ratios of the wall times to those of another
// command in the same rounds.
func (c Costs) Ratio(to Costs) float64 {
	var ratios []float64
	for i := range min(len(c), len(to)) {
		ratios = append(ratios, c[i].Wall/to[i].Wall)
	}
	return Median(ratios)
}

func (c Costs) each(value func(Cost) float64) []float64 {
	values := make([]float64, len(c))
	for i, cost := range c {
		values[i] = value(cost)
	}
	return values
}
