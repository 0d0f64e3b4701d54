package resolve

import (
	"fmt"
	"testing"
)

// BenchmarkClosure times what a warm link begins with: a package of which each
// requires the two after it.
func BenchmarkClosure(b *testing.B) {
	for _, packages := range []int{1, 10, 50} {
		b.Run(fmt.Sprint(packages), func(b *testing.B) {
			needs := map[string][]string{}
			for i := range packages {
				needs[fmt.Sprintf("p%d", i)] = nil
				for j := i + 1; j <= min(i+2, packages-1); j++ {
					needs[fmt.Sprintf("p%d", i)] = append(needs[fmt.Sprintf("p%d", i)], fmt.Sprintf("p%d", j))
				}
			}
			_, r := newWorld(b, needs)
			for b.Loop() {
				if _, _, err := r.Closure(b.Context(), []string{"r.example/a/p0:1"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
