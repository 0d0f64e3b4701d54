//go:build !unix

package project

// ownerOf gives the same for every directory: here, owners are not looked at.
func ownerOf(string) int { return -1 }

func planted(string, int) bool { return false }
