package ocipkg

import "testing"

func TestProgressOfSeveralTransfersIsTheirSum(t *testing.T) {
	var done, total int64
	sum := progressSum{report: func(d, n int64) { done, total = d, n }}
	one, two := sum.part(), sum.part()
	one(10, 100)
	two(1, 50)
	one(100, 100)
	two(2, 50)
	if done != 102 || total != 150 {
		t.Errorf("%d of %d bytes are done, want 102 of 150", done, total)
	}
	if (&progressSum{}).part() != nil {
		t.Error("somebody counts for nobody")
	}
}
