//go:build !darwin

package platform

func systemVersion() string { return "" }
