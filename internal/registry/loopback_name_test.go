package registry

import "testing"

func TestLoopbackIsToldByName(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:1": true, "127.9.9.9": true, "[::1]:5000": true, "[::1]": true, "x.localhost:1": true,
		"ghcr.io": false, "localhost.example:5000": false, "10.0.0.1:5000": false, "[::2]:5000": false, "127.0.0.1.example": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("isLoopback(%q) = %t", host, got)
		}
	}
}
