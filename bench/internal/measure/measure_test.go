package measure

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	Helper()
	os.Exit(m.Run())
}

func run(t *testing.T, script string) (Cost, error) {
	t.Helper()
	return Run(t.Context(), Command{Script: script, Dir: t.TempDir(), Env: os.Environ()})
}

func TestThePipelineIsCountedWhole(t *testing.T) {
	const work = `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done`
	one, err := run(t, work)
	if err != nil {
		t.Fatal(err)
	}
	three, err := run(t, "( "+work+" ) | ( "+work+" ) | ( "+work+" )")
	if err != nil {
		t.Fatal(err)
	}
	if three.CPU < 2*one.CPU || one.CPU <= 0 || one.Peak < 1<<20 {
		t.Errorf("one loop took %+v, three in a pipeline %+v", one, three)
	}
}

func TestWhatIsLeftRunningIsWaitedFor(t *testing.T) {
	cost, err := run(t, "sleep 0.3 &")
	if err != nil || cost.Wall < 0.3 {
		t.Errorf("it took %v, %v", cost.Wall, err)
	}
}

func TestAFailureSaysWhatWasPrinted(t *testing.T) {
	for _, script := range []string{"echo so; false", "echo so; false | true", "echo so; echo $unset"} {
		if _, err := run(t, script); err == nil || !strings.Contains(err.Error(), "so\n") {
			t.Errorf("%s: %v", script, err)
		}
	}
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	slow := Costs{{Wall: 2}, {Wall: 20}, {Wall: 6}}
	fast := Costs{{Wall: 1}, {Wall: 10}, {Wall: 2}}
	if r := slow.Ratio(fast); r != 2 {
		t.Errorf("the ratio is %v", r)
	}
	if m := Median([]float64{3, 1, 2, 10}); m != 2.5 || Median(nil) != 0 || !slices.Equal(slow.Walls(), []float64{2, 20, 6}) {
		t.Errorf("the median is %v", m)
	}
}
