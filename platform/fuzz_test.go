package platform

import "testing"

// Whatever is read as a platform is read back from how it is printed.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"linux/amd64", "linux/arm/v7 musl 1.2", "x86_64-linux-gnu.2.28", "darwin/arm64 12.0 libc++", "windows/amd64 msvc", "any/amd64", "aarch64-apple-ios-sim", "thumbv7neon-linux-androideabi"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(p.String()); err != nil || again != p {
			t.Errorf("%q is %+v, printed as %q, which is %+v, %v", s, p, p, again, err)
		}
		if _, ok := p.Fits(p); !ok {
			t.Errorf("%v does not fit itself", p)
		}
	})
}
